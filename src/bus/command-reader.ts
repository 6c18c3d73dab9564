/**
 * Reads the command streams of all shards that this worker owns: one blocking read per lane, a cursor per shard.
 */
import { randomUUID } from 'node:crypto'
import { BlockingRead, type StreamBatch, type StreamEntry } from '../redis/blocking-read.js'
import type { RedisClient } from '../redis/connect.js'
import type { CommandBatch, CommandReader, Cursor } from './bus.js'
import type { Outbox, Submission } from './command.js'
import type { Lanes } from './lanes.js'

/** Commands of one shard in one read: bounds the work of one `accept`. */
const BATCH_COMMANDS = 100
/** A wake stream that nobody uses any more disappears. */
const WAKE_EXPIRY_MS = 60_000

interface ReaderOptions {
  readonly lanes: Lanes
  /** For waking a blocked read. */
  readonly commands: RedisClient
  readonly connect: () => Promise<RedisClient>
  readonly onBatch: (batch: CommandBatch) => Promise<void>
  readonly onLost: () => void
}

export class RedisCommandReader implements CommandReader {
  readonly #id = randomUUID()
  readonly #wanted = new Map<number, Cursor>()
  readonly #connecting = new Map<number, Promise<void>>()
  readonly #ready = new Map<number, LaneReader>()
  #stopped = false

  constructor(private readonly options: ReaderOptions) {}

  add(shard: number, cursor: Cursor): void {
    const lane = this.options.lanes.laneOfShard(shard)
    this.#wanted.set(shard, cursor)
    const reader = this.#ready.get(lane)
    if (reader) reader.add(shard, cursor)
    else this.#open(lane)
  }

  remove(shard: number): void {
    this.#wanted.delete(shard)
    this.#ready.get(this.options.lanes.laneOfShard(shard))?.remove(shard)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#connecting.values())
    await Promise.all([...this.#ready.values()].map((it) => it.stop()))
  }

  #open(lane: number): void {
    if (this.#stopped || this.#connecting.has(lane)) return
    const opened = this.options.connect().then(
      (client) => this.#begin(lane, client),
      // The owner adds its shards anew, which tries again.
      () => this.options.onLost(),
    )
    this.#connecting.set(
      lane,
      opened.finally(() => this.#connecting.delete(lane)),
    )
  }

  #begin(lane: number, client: RedisClient): void {
    const reader = new LaneReader(lane, this.#id, client, this.options)
    this.#ready.set(lane, reader)
    for (const [shard, cursor] of this.#wanted) {
      if (this.options.lanes.laneOfShard(shard) === lane) reader.add(shard, cursor)
    }
  }
}

class LaneReader {
  readonly #cursors = new Map<string, Cursor>()
  readonly #shards = new Map<string, number>()
  readonly #wakeKey: string
  readonly #read: BlockingRead

  constructor(
    private readonly lane: number,
    reader: string,
    client: RedisClient,
    private readonly options: ReaderOptions,
  ) {
    this.#wakeKey = options.lanes.lane(lane).wake(reader)
    this.#cursors.set(this.#wakeKey, '0-0')
    this.#read = new BlockingRead({
      client,
      cursors: () => this.#cursors,
      count: BATCH_COMMANDS,
      onBatches: (batches) => this.#handOut(batches),
      onLost: options.onLost,
    })
    this.#read.start()
  }

  add(shard: number, cursor: Cursor): void {
    const key = this.options.lanes.lane(this.lane).shardCommands(shard)
    this.#cursors.set(key, cursor)
    this.#shards.set(key, shard)
    this.#wake()
  }

  remove(shard: number): void {
    const key = this.options.lanes.lane(this.lane).shardCommands(shard)
    this.#cursors.delete(key)
    this.#shards.delete(key)
  }

  stop(): Promise<void> {
    return this.#read.stop()
  }

  /** Ends the present read, which does not know the new shard. When it fails, the read ends by itself in a second. */
  #wake(): void {
    const { commands } = this.options
    commands.xadd(this.#wakeKey, 'MAXLEN', 1, '*', 'w', '').catch(() => undefined)
    commands.pexpire(this.#wakeKey, WAKE_EXPIRY_MS).catch(() => undefined)
  }

  async #handOut(batches: readonly StreamBatch[]): Promise<void> {
    await Promise.all(batches.map(([key, entries]) => this.#handOutOne(key, entries)))
  }

  async #handOutOne(key: string, entries: readonly StreamEntry[]): Promise<void> {
    const cursor = entries.at(-1)?.[0]
    // Removed while the read was on its way: the next owner reads it from the cursor that was accepted.
    if (cursor === undefined || !this.#cursors.has(key)) return
    this.#cursors.set(key, cursor)
    const shard = this.#shards.get(key)
    if (shard !== undefined) await this.options.onBatch({ shard, cursor, submissions: entries.map(submission) })
  }
}

/** Fields as `submit.lua` writes them, in its order: s, c, t, n, e, f, b. */
function submission([, fields]: StreamEntry): Submission {
  return {
    sessionId: fields[1] ?? '',
    commandId: fields[3] ?? '',
    type: (fields[5] ?? '') as Submission['type'],
    tenant: fields[7] ?? '',
    outbox: (fields[9] ?? '') as Outbox,
    fresh: fields[11] === '1',
    body: fields[13] ?? '',
  }
}
