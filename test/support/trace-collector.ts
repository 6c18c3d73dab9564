/**
 * A collector of OpenTelemetry traces: takes OTLP over HTTP in protobuf and in JSON, as a real one does, and keeps what it
 * is sent.
 */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { vi } from 'vitest'
import { readTraceRequest } from './otlp-protobuf.js'

type Value = string | number | boolean | readonly Value[]

export interface CollectedSpan {
  readonly traceId: string
  readonly spanId: string
  /** '' for the first of a trace. */
  readonly parentSpanId: string
  readonly name: string
  readonly attributes: Readonly<Record<string, Value>>
  /** Span ids. */
  readonly links: readonly string[]
  /** The traces that these are in. */
  readonly linkedTraces: readonly string[]
  /** As OTLP numbers them: 1 internal … 5 consumer. */
  readonly kind: number
  readonly hasFailed: boolean
  readonly startMs: number
  readonly endMs: number
  /** Attributes of the process that sent it. */
  readonly resource: Readonly<Record<string, Value>>
}

export interface TraceCollector {
  readonly url: string
  readonly spans: readonly CollectedSpan[]
  /** All that came, as it came. */
  readonly bodies: readonly string[]
  readonly headers: readonly IncomingHttpHeaders[]
  /** The first span of a name, past or future. */
  span(name: string | RegExp, which?: (span: CollectedSpan) => boolean): Promise<CollectedSpan>
  stop(): void
}

export interface OtlpValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: number | string
  readonly doubleValue?: number
  readonly arrayValue?: { readonly values: readonly OtlpValue[] }
}
type OtlpAttributes = readonly { readonly key: string; readonly value: OtlpValue }[]
export interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly attributes: OtlpAttributes
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly status?: { readonly code?: number }
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
}
export interface OtlpRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: OtlpAttributes }
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[]
  }[]
}

const PATIENCE = { timeout: 30_000, interval: 20 } as const
const FAILED = 2
const JSON_TYPE = 'application/json'
const NANOS_PER_MS = 1_000_000n

/** `status` is what it answers; from 500 on nothing is kept. */
export async function startTraceCollector(status = 200): Promise<TraceCollector> {
  const spans: CollectedSpan[] = []
  const bodies: string[] = []
  const headers: IncomingHttpHeaders[] = []
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(piece as Buffer)
    const body = Buffer.concat(pieces)
    headers.push(request.headers)
    if (status < 500 && request.url === '/v1/traces') {
      bodies.push(body.toString())
      const isJson = request.headers['content-type'] === JSON_TYPE
      spans.push(...collected(isJson ? (JSON.parse(String(body)) as OtlpRequest) : readTraceRequest(body)))
    }
    const type = request.headers['content-type'] ?? ''
    response.writeHead(request.url === '/v1/traces' ? status : 404, { 'content-type': type })
    response.end(type === JSON_TYPE ? '{}' : '')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ spans, bodies, headers },
    span: (name, which = () => true) => vi.waitFor(() => found(spans, name, which), PATIENCE),
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

function found(
  spans: readonly CollectedSpan[],
  name: string | RegExp,
  which: (span: CollectedSpan) => boolean,
): CollectedSpan {
  const isNamed = (span: CollectedSpan) => (typeof name === 'string' ? span.name === name : name.test(span.name))
  const span = spans.find((each) => isNamed(each) && which(each))
  if (!span) throw new Error(`no span ${name} among: ${spans.map((each) => each.name).join(', ')}`)
  return span
}

function collected({ resourceSpans }: OtlpRequest): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map((span) => collectedSpan(span, valuesOf(resource.attributes)))),
  )
}

const collectedSpan = (span: OtlpSpan, resource: CollectedSpan['resource']): CollectedSpan => ({
  traceId: span.traceId,
  spanId: span.spanId,
  parentSpanId: span.parentSpanId ?? '',
  name: span.name,
  attributes: valuesOf(span.attributes),
  links: (span.links ?? []).map(({ spanId }) => spanId),
  linkedTraces: (span.links ?? []).map(({ traceId }) => traceId),
  kind: span.kind,
  hasFailed: span.status?.code === FAILED,
  startMs: msOf(span.startTimeUnixNano),
  endMs: msOf(span.endTimeUnixNano),
  resource,
})

const msOf = (nanos: string): number => Number(BigInt(nanos) / NANOS_PER_MS)

const valuesOf = (attributes: OtlpAttributes): Record<string, Value> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, plainValue(value)]))

function plainValue(value: OtlpValue): Value {
  if (value.arrayValue) return value.arrayValue.values.map(plainValue)
  const { stringValue, boolValue, intValue, doubleValue } = value
  return stringValue ?? boolValue ?? (intValue === undefined ? (doubleValue ?? '') : Number(intValue))
}

/** Spans of one trace whose parent is neither among them nor `above`. */
export function strays(spans: readonly CollectedSpan[], traceId: string, above: string): readonly string[] {
  const own = spans.filter((span) => span.traceId === traceId)
  const known = new Set([above, ...own.map(({ spanId }) => spanId)])
  return own.filter(({ parentSpanId }) => !known.has(parentSpanId)).map(({ name }) => name)
}
