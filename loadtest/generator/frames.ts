/**
 * WebSocket framing (RFC 6455) as far as a load generator needs it, at a fraction of a library's price: a frame to send is
 * one string, a received frame is one string, and nothing is parsed before somebody asks.
 *
 * Text is taken as Latin-1 in both directions: requests are ASCII, and of answers only ASCII parts are looked at.
 */

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
export type Opcode = (typeof OPCODE)[keyof typeof OPCODE]

const FINAL = 0x80
const MASKED = 0x80
const LENGTH_16 = 126
const LENGTH_64 = 127
/** Larger than any answer that a load run asks for; a length above it means that framing was lost. */
const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
/** A key is required of clients, its value is free: with zeros the payload stands as it is. */
const ZERO_KEY = '\0\0\0\0'

/** A client's frame, to be written as Latin-1. @throws RangeError for payloads of 64 KiB and more. */
export function clientFrame(payload: string, opcode: Opcode = OPCODE.text): string {
  const { length } = payload
  const first = String.fromCharCode(FINAL | opcode)
  if (length < LENGTH_16) return first + String.fromCharCode(MASKED | length) + ZERO_KEY + payload
  if (length > 0xffff) throw new RangeError(`a request has at most 65535 bytes, not ${length}`)
  const size = String.fromCharCode(MASKED | LENGTH_16, length >> 8, length & 0xff)
  return first + size + ZERO_KEY + payload
}

export type OnFrame = (opcode: Opcode, payload: string) => void

/** Cuts a server's bytes into frames; chunks may end anywhere. */
export class FrameReader {
  readonly #onFrame: OnFrame
  /** Bytes of a frame whose rest has not come; a copy, because the chunk's memory is used again. */
  #rest: Buffer | undefined
  /** Payload of a message whose last fragment has not come. */
  #fragments = ''

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame
  }

  /** Hands out all frames that are complete now. @throws Error when the bytes are no frames of a server. */
  push(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (at < bytes.length) {
      const next = this.#readFrame(bytes, at)
      if (next === undefined) break
      at = next
    }
    this.#rest = at < bytes.length ? Buffer.from(bytes.subarray(at)) : undefined
  }

  /** Where the next frame begins, or undefined when this one is not complete. */
  #readFrame(bytes: Buffer, at: number): number | undefined {
    const start = payloadStart(bytes, at)
    if (start === undefined) return undefined
    const end = start + payloadLength(bytes, at)
    if (end > bytes.length) return undefined
    const first = bytes[at] ?? 0
    const payload = bytes.toString('latin1', start, end)
    const opcode = (first & 0x0f) as Opcode
    if (opcode === OPCODE.continuation || (first & FINAL) === 0) this.#takeFragment(first, payload)
    else this.#onFrame(opcode, payload)
    return end
  }

  #takeFragment(first: number, payload: string): void {
    this.#fragments += payload
    if (this.#fragments.length > MAX_PAYLOAD_BYTES) throw new Error('a fragmented message does not end')
    if ((first & FINAL) === 0) return
    const whole = this.#fragments
    this.#fragments = ''
    this.#onFrame(OPCODE.text, whole)
  }
}

/** Where the payload begins, or undefined when the header is not complete. */
function payloadStart(bytes: Buffer, at: number): number | undefined {
  if (at + 2 > bytes.length) return undefined
  const second = bytes[at + 1] ?? 0
  if ((second & MASKED) !== 0) throw new Error('the server sent a masked frame')
  const header = second === LENGTH_64 ? 10 : second === LENGTH_16 ? 4 : 2
  return at + header > bytes.length ? undefined : at + header
}

function payloadLength(bytes: Buffer, at: number): number {
  const second = bytes[at + 1] ?? 0
  if (second < LENGTH_16) return second
  const length = second === LENGTH_16 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
  if (length > MAX_PAYLOAD_BYTES) throw new Error(`the server announced a frame of ${length} bytes`)
  return length
}
