/**
 * A session that is watched while its shard moves: it gets a command every few milliseconds, whatever becomes of the ones
 * before, and notes how long each took from the moment when it was due.
 */
import type { Client } from '../../src/client/client.js'
import type { SessionHandle } from '../../src/client/session.js'
import { shardOfSession } from '../../src/protocol/ids.js'

/** A pause is seen to this exactness. */
const INTERVAL_MS = 20
/** Sessions that are spawned until enough shards are met. */
const MAX_SPAWNS = 200

export class Probe {
  /** The longest wait of each move. */
  readonly waitsMs: number[] = []
  /** Of commands that met no move. */
  readonly quietMs: number[] = []
  readonly faults: string[] = []
  readonly #pending = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  /** Since when commands belong to a move. */
  #movingSince = Number.POSITIVE_INFINITY
  #longestMs = 0

  private constructor(
    private readonly session: SessionHandle,
    readonly shard: number,
  ) {}

  /** One session on each of `count` shards. */
  static async onShards(client: Client, count: number): Promise<readonly Probe[]> {
    const probes = new Map<number, Probe>()
    for (let spawns = 0; probes.size < count && spawns < MAX_SPAWNS; spawns++) {
      const session = await client.spawn({ sessionType: 'echo', orchestratorId: 'moves', task: 'hello' })
      const shard = shardOfSession(session.id) ?? -1
      if (!probes.has(shard)) probes.set(shard, new Probe(session, shard))
    }
    return [...probes.values()]
  }

  start(): void {
    this.#timer = setInterval(() => this.#send(performance.now()), INTERVAL_MS)
  }

  /** Commands that were sent up to `marginMs` ago count as well. */
  moveBegins(marginMs: number): void {
    this.#longestMs = 0
    this.#movingSince = performance.now() - marginMs
  }

  /** Resolves when all commands of the move have their answers. */
  async moveEnds(): Promise<void> {
    await Promise.all(this.#pending)
    this.#movingSince = Number.POSITIVE_INFINITY
    this.waitsMs.push(this.#longestMs)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#pending)
  }

  #send(dueAt: number): void {
    const done = this.session
      .execute('x')
      .then(
        (end) => this.#answered(dueAt, end.type === 'task_completed' ? undefined : end.type),
        (error: unknown) => this.#answered(dueAt, String(error)),
      )
      .finally(() => this.#pending.delete(done))
    this.#pending.add(done)
  }

  #answered(dueAt: number, fault: string | undefined): void {
    if (fault !== undefined) this.faults.push(`a command of a watched session ended with ${fault}`)
    const tookMs = performance.now() - dueAt
    if (dueAt >= this.#movingSince) this.#longestMs = Math.max(this.#longestMs, tookMs)
    else this.quietMs.push(tookMs)
  }
}
