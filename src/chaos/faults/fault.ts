/**
 * What a fault is, and what it has to work with.
 */
import type { FakeProvider } from '../fake-provider.js'
import type { FaultKind } from '../journal.js'
import type { LoadProcess } from '../load/load-process.js'
import type { InFlight } from '../load/plan.js'
import type { ChaosNode, Nodes } from '../nodes.js'
import type { RandomInteger } from '../seeded-random.js'
import type { ChaosStores } from '../stores.js'

/** What a fault needs beside the cluster. */
export interface Needs {
  /** Nodes reach the stores through proxies. */
  readonly proxies?: true
  readonly replica?: true
  /** Servers of our own, because the fault harms them. */
  readonly ownRedis?: true
  readonly ownPostgres?: true
}

/**
 * The weight of those that take work away from somebody, which prove most: 100 faults hold at least 12 of each, whatever
 * the seed (test/unit/chaos/plan.test.ts).
 */
export const OFTEN = 6

export interface Fault {
  /** Row of the design's table. */
  readonly test: string
  readonly title: string
  readonly needs: Needs
  /** How often it is drawn, beside others with 1. */
  readonly weight: number
  /** It proves nothing unless its victim had work: where it had none, it is done once more. */
  readonly needsWork?: true
  /** Does its harm, holds it for a while, and heals it. */
  run(stage: Stage): Promise<void>
}

export interface Victim {
  readonly kind: FaultKind
  readonly node?: ChaosNode
  readonly isolated?: true
  readonly losesWrites?: true
  /** What sets it apart from others of its kind. */
  readonly variant?: string
}

export interface Mark {
  /** Work that the victim had. */
  readonly found: InFlight
  /** Called directly before the primary goes whose replica has been cut off since the beginning. */
  cutEnds(): void
  /** What was done is undone. Called once. */
  healed(): void
}

export interface Stage {
  readonly nodes: Nodes
  readonly stores: ChaosStores
  readonly load: LoadProcess
  readonly provider: FakeProvider
  readonly random: RandomInteger
  /** How often this fault has been done before in this run. */
  readonly earlier: number
  /** Failovers are left to a Sentinel. */
  readonly bySentinel: boolean
  /** Under how many an edge is killed. */
  readonly sockets: number
  /** For how long PostgreSQL is to be away; undefined leaves it to the seed. */
  readonly postgresAwayMs?: number
  /** Starts a node that has ended anew, and tells the load what stands behind its address now. */
  restart(node: ChaosNode, env?: Readonly<Record<string, string>>): Promise<void>
  /** To be called directly before the harm is done: writes down who had what in flight. */
  begin(victim: Victim): Promise<Mark>
  /** Something that did not go as promised and that no journal shows. */
  complain(sentence: string): void
}
