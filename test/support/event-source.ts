/**
 * A reader of server-sent events that keeps what it got, as a browser's EventSource does, and can stop reading.
 */
import { get, type IncomingMessage } from 'node:http'
import { expect, vi } from 'vitest'

export interface ServerSentEvent {
  readonly event: string
  readonly id: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the tests are about.
  readonly data: any
}

const ARRIVAL = { timeout: 15_000, interval: 5 } as const

export class EventSourceReader {
  readonly events: ServerSentEvent[] = []
  /** As a browser sends it when it comes back. */
  lastEventId = ''
  retryMs: number | undefined
  isOver = false
  #rest = ''

  private constructor(readonly response: IncomingMessage) {
    response.setEncoding('utf8')
    response.on('data', (text: string) => this.#take(text))
    response.on('close', () => {
      this.isOver = true
    })
    response.on('error', () => undefined) // The close that follows tells.
  }

  /** Resolves with the head of the answer; what is no stream is refused with its status. */
  static open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<EventSourceReader> {
    return new Promise((resolve, reject) => {
      get(url, { headers: { ...headers }, agent: false }, (response) => {
        if (response.statusCode === 200) resolve(new EventSourceReader(response))
        else {
          response.resume()
          reject(new Error(`answered with ${response.statusCode}`))
        }
      }).on('error', reject)
    })
  }

  /** The first event, past or future, that fits. */
  async next(fits: (event: ServerSentEvent) => boolean): Promise<ServerSentEvent> {
    const seen = (): ServerSentEvent | undefined => this.events.find(fits)
    await vi.waitFor(() => expect(seen(), `none fits among ${JSON.stringify(this.events)}`).toBeDefined(), ARRIVAL)
    return seen() as ServerSentEvent
  }

  /** Ids of logged events, in the order of their arrival. */
  get eventIds(): string[] {
    return this.events.flatMap(({ data }) => (data.eventId && data.timestamp ? [String(data.eventId)] : []))
  }

  close(): void {
    this.response.destroy()
  }

  #take(text: string): void {
    const parts = (this.#rest + text).split('\n\n')
    this.#rest = parts.pop() ?? ''
    for (const part of parts) this.#dispatch(part)
  }

  #dispatch(part: string): void {
    const fields = part.split('\n').map((line) => /^([a-z]*): ?(.*)$/.exec(line) ?? [])
    const of = (name: string): string | undefined => fields.find(([, field]) => field === name)?.[2]
    const data = of('data')
    if (of('retry') !== undefined) this.retryMs = Number(of('retry'))
    if (data === undefined) return
    this.lastEventId = of('id') ?? this.lastEventId
    this.events.push({ event: of('event') ?? 'message', id: of('id'), data: JSON.parse(data) })
  }
}
