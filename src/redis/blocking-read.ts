/**
 * A loop of blocking XREADs with a deadline of its own: Redis answers late or never when a connection is half dead, and
 * a reader that waits for it would hold up everything that it reads.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { disconnect, type RedisClient } from './connect.js'
import { received } from './half-dead.js'

const BLOCK_MS = 1_000
/** How long a reply may be late before the socket is given up. */
const GRACE_MS = 500
const RETRY_MS = 100

export type StreamEntry = readonly [id: string, fields: readonly string[]]
export type StreamBatch = readonly [key: string, entries: readonly StreamEntry[]]

export interface BlockingReadOptions {
  /** A client of its own (`connectBlocking`); closed by `stop`. */
  readonly client: RedisClient
  /** Present cursors by stream key; asked before each read, never empty. */
  readonly cursors: () => ReadonlyMap<string, string>
  /** Most entries of one stream in one read. */
  readonly count: number
  /** The next read waits for the promise. */
  readonly onBatches: (batches: readonly StreamBatch[]) => Promise<void>
  /** The connection was lost and works again: the store may have changed meanwhile. */
  readonly onLost: () => void
}

export class BlockingRead {
  readonly #options: BlockingReadOptions
  #stopped = false
  #loop: Promise<void> | undefined

  constructor(options: BlockingReadOptions) {
    this.#options = options
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /** Ends within a retry period; batches that are being handled are finished first. */
  async stop(): Promise<void> {
    this.#stopped = true
    disconnect(this.#options.client)
    await this.#loop
  }

  async #run(): Promise<void> {
    let lost = false
    while (!this.#stopped) {
      const batches = await this.#read().catch(() => undefined)
      if (this.#stopped) return
      if (batches === undefined) {
        // The connection's own error handler has logged it; reading goes on when Redis is back.
        lost = true
        await sleep(RETRY_MS)
        continue
      }
      if (lost) this.#options.onLost()
      lost = false
      if (batches.length > 0) await this.#options.onBatches(batches)
    }
  }

  async #read(): Promise<readonly StreamBatch[]> {
    const { client, cursors, count } = this.#options
    const positions = cursors()
    const ended = this.#watch()
    try {
      const keys = [...positions.keys(), ...positions.values()]
      const reply = await client.xread('COUNT', count, 'BLOCK', BLOCK_MS, 'STREAMS', ...keys)
      return (reply ?? []) as readonly StreamBatch[]
    } finally {
      ended()
    }
  }

  /**
   * Gives the read up when nothing comes any more: ioredis rejects it and connects anew by itself. What came while this
   * process had no time to look is read before that, and a large reply may take long. Returns how to end the watch.
   */
  #watch(): () => void {
    const { client } = this.#options
    let before = received(client)
    let timer = setTimeout(() => setImmediate(look), BLOCK_MS + GRACE_MS)
    let ended = false
    const look = (): void => {
      if (ended || this.#stopped) return
      const bytes = received(client)
      if (bytes === before) client.disconnect(true)
      else timer = setTimeout(() => setImmediate(look), GRACE_MS)
      before = bytes
    }
    return () => {
      ended = true
      clearTimeout(timer)
    }
  }
}
