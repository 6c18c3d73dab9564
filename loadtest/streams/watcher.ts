/**
 * One connection that watches some llm sessions: spawns and stops them, checks that the text of each comes without a hole,
 * and tells how long each flush took.
 */
import { LoadSocket, type Target } from '../generator/socket.js'
import type { StreamMeter } from './stream-meter.js'

const CHUNK = '{"type":"stream_chunk","data":{"sessionId":"'
const TEXT = '","chunk":"'
const OFFSET = '"offset":'
const GATHERED = '"gatheredMs":'
const SPAWNED = '{"type":"session_spawned"'
const FAILURES = ['{"type":"error"', '{"type":"task_failed"', '{"type":"subscription_reset"'] as const
/** A spawn waits for Postgres, and hundreds of them for each other. */
const SPAWN_TIMEOUT_MS = 60_000
const SHOWN_CHARS = 200

export interface WatcherOptions {
  readonly target: Target
  readonly token: string
  readonly meter: StreamMeter
}

export class Watcher {
  readonly #meter: StreamMeter
  readonly #socket: LoadSocket
  readonly #token: string
  /** Bytes that have come of each session's message. */
  readonly #sessions = new Map<string, number>()
  #spawned: (sessionId: string) => void = () => {}
  #failed: (error: Error) => void = () => {}

  constructor({ target, token, meter }: WatcherOptions) {
    this.#meter = meter
    this.#token = token
    this.#socket = new LoadSocket(target, {
      onText: (text) => this.#read(text),
      onLost: (reason) => this.#fault(`a connection was lost: ${reason}`),
    })
  }

  get sessions(): number {
    return this.#sessions.size
  }

  async open(): Promise<void> {
    await this.#socket.open('/', this.#token)
  }

  /** Resolves when the session is there. @throws Error when the service refuses, or takes too long */
  async spawn(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const spawned = new Promise<string>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('no session within 60 s')), SPAWN_TIMEOUT_MS)
      this.#spawned = resolve
      this.#failed = reject
    })
    const payload = { orchestratorId: 'load', sessionType: 'llm', task: 'talk' }
    this.#socket.send(JSON.stringify({ type: 'spawn_session', payload }))
    try {
      this.#sessions.set(await spawned, 0)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ends the session that was spawned last. */
  stopOne(): void {
    const last = [...this.#sessions.keys()].at(-1)
    if (last === undefined) return
    this.#sessions.delete(last)
    this.#socket.send(JSON.stringify({ type: 'stop_session', payload: { sessionId: last } }))
  }

  close(): void {
    this.#socket.close()
  }

  #read(text: string): void {
    if (text.startsWith(CHUNK)) this.#readChunk(text)
    else if (text.startsWith(SPAWNED)) this.#spawned(fieldOf(text, 'sessionId'))
    else if (FAILURES.some((start) => text.startsWith(start))) this.#fault(text.slice(0, SHOWN_CHARS))
  }

  #readChunk(text: string): void {
    const sessionEnd = text.indexOf('"', CHUNK.length)
    const sessionId = text.slice(CHUNK.length, sessionEnd)
    const have = this.#sessions.get(sessionId)
    if (have === undefined) return // The first pieces may overtake the answer to the spawn; the last ones follow the stop.
    const from = sessionEnd + TEXT.length
    const to = text.indexOf('"', from)
    const offset = numberAfter(text, OFFSET, to)
    if (have !== 0 && offset !== have) this.#fault(`text at ${offset} follows ${have} bytes`)
    this.#sessions.set(sessionId, offset + to - from)
    this.#meter.flushed(text, from, to, numberAfter(text, GATHERED, to))
  }

  #fault(what: string): void {
    this.#failed(new Error(what))
    this.#meter.fault(what)
  }
}

const numberAfter = (text: string, name: string, from: number): number => {
  const at = text.indexOf(name, from)
  return at < 0 ? 0 : Number.parseInt(text.slice(at + name.length, at + name.length + 12), 10)
}

function fieldOf(text: string, name: string): string {
  const start = text.indexOf(`"${name}":"`) + name.length + 4
  return text.slice(start, text.indexOf('"', start))
}
