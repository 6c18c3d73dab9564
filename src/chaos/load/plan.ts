/**
 * What the load's process is asked to do, and what it says back: the words between it and its starter.
 */

export interface EdgeAddress {
  readonly url: string
  /** Id of the node behind it. */
  readonly node: string
}

/** How many sessions of each kind there are. */
export interface Mix {
  /** Answer at once; they carry the rate. */
  readonly quick: number
  /** Always stream a message of a second or so. */
  readonly streaming: number
  /** Always follow a script of model calls and tools. */
  readonly agents: number
  /** Are cancelled, paused, resumed and stopped while they stream. */
  readonly controlled: number
}

export interface LoadPlan {
  readonly seed: number
  /** Of the journals. */
  readonly folder: string
  readonly edges: readonly EdgeAddress[]
  readonly mix: Mix
  /** Commands a second of the quick sessions. */
  readonly rate: number
  /** Of a hundred quick commands, so many are sent over every other edge as well. */
  readonly duplicatesPercent: number
  /** What every client shows at the door; undefined where none is asked for. */
  readonly token?: string
}

/** Whom a fault hits: the sessions of some shards, which another owner must go on with, an edge, or everybody. */
export type Hit =
  | { readonly who: 'shards'; readonly shards: readonly number[] }
  | { readonly who: 'edge'; readonly url: string }
  | { readonly who: 'everybody' }

/** What a fault finds: commands that were accepted and have not ended. */
export interface InFlight {
  readonly sessions: number
  readonly commands: number
}

export interface Counts {
  /** Commands, however often each was sent. */
  sent: number
  ended: number
  /** Finally declined. */
  refused: number
  /** Sent again, by connections that were lost and answers that asked for it. */
  repeated: number
  /** Sent by somebody else as well. */
  duplicates: number
}

export interface LoadReport {
  readonly counts: Counts
  /** Commands without an end. */
  readonly open: number
  /** By error code. */
  readonly refusals: Readonly<Record<string, number>>
}

export type Order =
  | { readonly type: 'start'; readonly plan: LoadPlan }
  /** A fault begins. */
  | { readonly type: 'fault'; readonly hit: Hit }
  /** The fault is over and healed. */
  | { readonly type: 'healed' }
  /** Edges were started anew: behind their addresses are other nodes now. */
  | { readonly type: 'edges'; readonly edges: readonly EdgeAddress[] }
  | { readonly type: 'command'; readonly what: SpecialCommand }
  | { readonly type: 'crowd'; readonly step: CrowdStep }
  | { readonly type: 'status' }
  | { readonly type: 'finish'; readonly timeoutMs: number }

/** Load that only some faults ask for. */
export type SpecialCommand =
  | { readonly kind: 'poison' }
  | { readonly kind: 'flood'; readonly commands: number }
  | { readonly kind: 'slow-reader'; readonly pauseMs: number }
  /** So many clients lose their connections and come back at another edge. */
  | { readonly kind: 'roam'; readonly clients: number }

/** Sockets that gather on one edge, hear something while it is away, and leave. */
export type CrowdStep =
  | { readonly step: 'gather'; readonly sockets: number; readonly url: string }
  | { readonly step: 'stir' }
  | { readonly step: 'leave' }

export interface LoadStatus {
  readonly counts: Counts
  readonly open: number
  /** Sessions that a fault hit and that have not gone on. */
  readonly waiting: number
  /** Commands that were accepted and have not ended, by their session's shard and by the address of their client's edge. */
  readonly inFlightShards: Readonly<Record<number, number>>
  readonly inFlightEdges: Readonly<Record<string, number>>
}

export type Reply =
  | { readonly type: 'ready' }
  | { readonly type: 'in-flight'; readonly found: InFlight }
  | { readonly type: 'done' }
  | { readonly type: 'status'; readonly status: LoadStatus }
  | { readonly type: 'report'; readonly report: LoadReport }
  | { readonly type: 'failed'; readonly reason: string }
