/**
 * A client of the second protocol over a real socket. It keeps every frame it gets, and speaks as `@neolith/daemon-sdk` does.
 */
import { once } from 'node:events'
import { afterEach, expect, vi } from 'vitest'
import WebSocket from 'ws'

const ARRIVAL = { timeout: 20_000, interval: 5 } as const

// biome-ignore lint/suspicious/noExplicitAny: what comes is what the tests are about.
export type Frame = Readonly<Record<string, any>>

export const CLIENT = { id: '@neolith/daemon-sdk', version: '0.1.1', platform: 'neolith-web', displayName: 'Test' }

/** What the SDK sends first. */
export const connectParams = (token = 'anything', more: object = {}) => ({
  ...{ minProtocol: 2, maxProtocol: 2, auth: { type: 'api-key', token }, client: CLIENT, capabilities: [] },
  ...more,
})

const open: V2Client[] = []

afterEach(() => {
  for (const client of open.splice(0)) client.socket.terminate()
})

export class V2Client {
  readonly frames: Frame[] = []
  closed: { readonly code: number; readonly reason: string } | undefined
  hello: Frame = {}
  #asked = 0

  constructor(readonly socket: WebSocket) {
    open.push(this)
    socket.on('message', (data) => this.frames.push(JSON.parse(String(data)) as Frame))
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) }
    })
    socket.on('error', () => {
      // The close that follows tells the tests what they ask for.
    })
  }

  send(frame: object | string | Uint8Array): void {
    const isRaw = typeof frame === 'string' || frame instanceof Uint8Array
    this.socket.send(isRaw ? frame : JSON.stringify(frame))
  }

  /** The first frame, past or future, that fits. */
  async next(fits: (frame: Frame) => boolean): Promise<Frame> {
    const seen = (): Frame | undefined => this.frames.find(fits)
    await vi.waitFor(() => expect(seen(), `none fits among ${JSON.stringify(this.frames)}`).toBeDefined(), ARRIVAL)
    return seen() ?? {}
  }

  /** Sends a request and returns the frame that answers it. */
  async request(method: string, params?: unknown): Promise<Frame> {
    this.#asked += 1
    const id = `sdk-${this.#asked}`
    this.send({ type: 'req', id, method, ...(params !== undefined && { params }) })
    return this.next((frame) => frame.type === 'res' && frame.id === id)
  }

  /** The payload of the answer; fails the test when it is a refusal. */
  async ask(method: string, params?: unknown): Promise<Frame> {
    const res = await this.request(method, params)
    expect(res, JSON.stringify(res)).toMatchObject({ ok: true })
    return res.payload as Frame
  }

  /** The error of the answer; fails the test when there is none. */
  async refusal(method: string, params?: unknown): Promise<Frame> {
    const res = await this.request(method, params)
    expect(res, JSON.stringify(res)).toMatchObject({ ok: false, error: expect.any(Object) })
    expect(res).not.toHaveProperty('payload')
    return res.error as Frame
  }

  /** The payload of the first such event, past or future. */
  async event(name: string, fits: (payload: Frame) => boolean = () => true): Promise<Frame> {
    const frame = await this.next(({ type, event, payload }) => type === 'event' && event === name && fits(payload))
    return frame.payload as Frame
  }

  /** Names of the events that have come, but for heartbeats. */
  names(): string[] {
    return this.events().map(({ event }) => event)
  }

  events(): Frame[] {
    return this.frames.filter(({ type, event }) => type === 'event' && event !== 'health.heartbeat')
  }

  async connect(params: object): Promise<Frame> {
    this.hello = await this.ask('auth.connect', params)
    return this.hello
  }

  /** Text of a prompt, asserting that each message came contiguous and once. */
  text(promptId: string): string {
    const had = new Map<string, number>()
    const chunks = this.events().filter(
      ({ event, payload }) => event === 'stream.chunk' && payload.promptId === promptId,
    )
    return chunks
      .map(({ payload: { messageId, offset, content } }) => {
        expect(offset, 'chunks are contiguous').toBe(had.get(messageId) ?? 0)
        had.set(messageId, offset + Buffer.byteLength(content))
        return content
      })
      .join('')
  }

  async end(): Promise<{ readonly code: number; readonly reason: string }> {
    await vi.waitFor(() => expect(this.closed).toBeDefined(), ARRIVAL)
    return this.closed ?? { code: 0, reason: '' }
  }

  async close(): Promise<void> {
    this.socket.close()
    await once(this.socket, 'close')
  }
}

/** A socket that is open and has said nothing yet. */
export async function openV2(url: string, headers: Record<string, string> = {}): Promise<V2Client> {
  const client = new V2Client(new WebSocket(url, { headers }))
  await once(client.socket, 'open')
  return client
}

/** The same, connected. */
export async function connectV2(url: string, params: object = connectParams()): Promise<V2Client> {
  const client = await openV2(url)
  await client.connect(params)
  return client
}
