/**
 * Reads what an exporter of traces writes in protobuf, into the shape that it has in JSON. By the field numbers of
 * opentelemetry/proto/collector/trace/v1, so that the library which writes it is judged by something else.
 */
import type { OtlpRequest, OtlpSpan, OtlpValue } from './trace-collector.js'

type Field = bigint | Buffer
/** By field number; repeated ones in their order. */
type Message = ReadonlyMap<number, readonly Field[]>

const [VARINT, FIXED64, BYTES, FIXED32] = [0, 1, 2, 5]

export function readTraceRequest(body: Buffer): OtlpRequest {
  return {
    resourceSpans: messages(read(body), 1).map((each) => ({
      resource: { attributes: attributesOf(messages(each, 1)[0] ?? new Map(), 1) },
      scopeSpans: messages(each, 2).map((scope) => ({ spans: messages(scope, 2).map(spanOf) })),
    })),
  }
}

function spanOf(span: Message): OtlpSpan {
  const status = messages(span, 15)[0]
  return {
    traceId: bytes(span, 1).toString('hex'),
    spanId: bytes(span, 2).toString('hex'),
    parentSpanId: bytes(span, 4).toString('hex'),
    name: bytes(span, 5).toString(),
    kind: Number(number(span, 6)),
    startTimeUnixNano: String(number(span, 7)),
    endTimeUnixNano: String(number(span, 8)),
    attributes: attributesOf(span, 9),
    links: messages(span, 13).map((link) => ({
      traceId: bytes(link, 1).toString('hex'),
      spanId: bytes(link, 2).toString('hex'),
    })),
    status: { code: Number(status ? number(status, 3) : 0) },
  }
}

const attributesOf = (message: Message, field: number) =>
  messages(message, field).map((pair) => ({
    key: bytes(pair, 1).toString(),
    value: plainValueOf(messages(pair, 2)[0] ?? new Map()),
  }))

function plainValueOf(value: Message): OtlpValue {
  if (value.has(2)) return { boolValue: number(value, 2) !== 0n }
  if (value.has(3)) return { intValue: Number(BigInt.asIntN(64, number(value, 3))) }
  if (value.has(4)) return { doubleValue: doubleOf(number(value, 4)) }
  const [list] = messages(value, 5)
  return list
    ? { arrayValue: { values: messages(list, 1).map(plainValueOf) } }
    : { stringValue: bytes(value, 1).toString() }
}

function doubleOf(bits: bigint): number {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64LE(bits)
  return buffer.readDoubleLE()
}

const fields = (message: Message, field: number): readonly Field[] => message.get(field) ?? []
const bytes = (message: Message, field: number): Buffer => Buffer.from((fields(message, field)[0] as Buffer) ?? [])
const number = (message: Message, field: number): bigint => (fields(message, field)[0] as bigint | undefined) ?? 0n
const messages = (message: Message, field: number): Message[] => fields(message, field).map((it) => read(it as Buffer))

function read(body: Buffer): Message {
  const found = new Map<number, Field[]>()
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = body[at++] ?? 0
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const take = (length: number): Buffer => {
    at += length
    return body.subarray(at - length, at)
  }
  while (at < body.length) {
    const key = Number(varint())
    const kind = key & 7
    const field = fieldOf(kind, varint, take)
    found.set(key >> 3, [...(found.get(key >> 3) ?? []), field])
  }
  return found
}

function fieldOf(kind: number, varint: () => bigint, take: (length: number) => Buffer): Field {
  if (kind === VARINT) return varint()
  if (kind === FIXED64) return take(8).readBigUInt64LE()
  if (kind === BYTES) return take(Number(varint()))
  if (kind === FIXED32) return BigInt(take(4).readUInt32LE())
  throw new Error(`a field of kind ${kind} is none of protobuf's`)
}
