/**
 * Tells the cluster what this worker has to do: with its beats as a whole, and to the leader by shard.
 */
import type { Member, ShardLoadReport } from '../cluster/cluster.js'
import { LoadMeter } from './load-meter.js'
import type { SessionHost } from './session-host.js'
import type { TurnSlots } from './turn-slots.js'

export interface LoadReportOptions {
  readonly member: Pick<Member, 'setLoad'>
  readonly host: Pick<SessionHost, 'load' | 'work'>
  readonly owned: () => ReadonlySet<number>
  readonly slots: Pick<TurnSlots, 'capacity'>
  /** Undefined in one process, where nothing moves. */
  readonly reportShards: ((report: ShardLoadReport) => Promise<void>) | undefined
}

const LOAD_MS = 1_000
/** The leader looks at the loads of shards once a second at most. */
const SHARD_LOAD_MS = 2_000

export class LoadReport {
  readonly #meter = new LoadMeter(() => performance.now())
  readonly #timers: NodeJS.Timeout[] = []

  constructor(private readonly options: LoadReportOptions) {}

  start(): void {
    this.#reportAll()
    this.#timers.push(setInterval(() => this.#reportAll(), LOAD_MS))
    this.#timers.push(setInterval(() => this.#reportShards(), SHARD_LOAD_MS))
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  /** Commands of a shard were accepted. */
  accepted(shard: number, commands: number): void {
    this.#meter.accepted(shard, commands)
  }

  #reportAll(): void {
    const { member, host, slots } = this.options
    member.setLoad({ ...host.load, capacity: slots.capacity })
  }

  #reportShards(): void {
    const { owned, host, reportShards } = this.options
    const report = this.#meter.report(owned(), host.work())
    // What is not heard now is said again in seconds.
    reportShards?.(report).catch(() => undefined)
  }
}
