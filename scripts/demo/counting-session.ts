/**
 * One session of the cluster demo: a client of its own watches a model count, and keeps a record of everything.
 */
import { WebSocket } from 'ws'
import { type Client, connect, type SessionHandle } from '../../src/client/client.js'
import { shardOfSession } from '../../src/protocol/ids.js'
import { SessionRecord } from './session-record.js'

const NUMBER = /\d+/g
/** Of the text, to find its last words. */
const TAIL_CHARS = 200

/** The scripted model needs no more than the first words; a vendor's model needs to know what exactly to write. */
const countingTask = (count: number): string =>
  `Count to ${count}. Write every number in digits followed by one word, all in one line, like this: 1 amber 2 birch 3 cedar. Write nothing else, and leave no number out.`

export class CountingSession {
  /** The address that its client is connected to now. */
  url = ''
  readonly #client: Client
  readonly #handle: SessionHandle
  readonly record: SessionRecord

  private constructor(
    readonly label: string,
    readonly count: number,
    client: Client,
    handle: SessionHandle,
  ) {
    this.#client = client
    this.#handle = handle
    this.record = new SessionRecord(handle.id)
  }

  /** Connects to one of the addresses and spawns the session. */
  static async start(label: string, count: number, urls: readonly string[]): Promise<CountingSession> {
    let connected = ''
    let session: CountingSession | undefined
    const webSocket = class extends WebSocket {
      constructor(url: string) {
        super(url)
        connected = url
        if (session) session.url = url
      }
    }
    const client = await connect({ urls, webSocket })
    const handle = await client.spawn({ sessionType: 'llm', orchestratorId: 'demo', task: countingTask(count) })
    session = new CountingSession(label, count, client, handle)
    session.url = connected
    return session
  }

  get id(): string {
    return this.#handle.id
  }

  get shard(): number {
    return shardOfSession(this.id) ?? -1
  }

  get finished(): boolean {
    return this.record.taskEnd !== undefined
  }

  /** Numbers that have arrived. */
  get counted(): number {
    return this.record.text.match(NUMBER)?.length ?? 0
  }

  get lastWords(): string {
    return this.record.text.slice(-TAIL_CHARS).split(/\s+/).slice(-4).join(' ')
  }

  /** Whether every number stands there once, in order. */
  get isCountedRight(): boolean {
    const numbers = this.record.text.match(NUMBER) ?? []
    return numbers.length === this.count && numbers.every((text, index) => Number(text) === index + 1)
  }

  /** Records what comes until the task has ended. What goes wrong is a fault of the record. */
  async follow(): Promise<void> {
    try {
      for await (const message of this.#handle) {
        this.record.take(message, performance.now())
        if (this.finished) return
      }
      this.record.faults.push('the session ended before its task')
    } catch (error) {
      this.record.faults.push(String(error))
    }
  }

  close(): void {
    this.#client.close()
  }
}
