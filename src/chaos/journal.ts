/**
 * What a fault run writes down while it goes, and what the checker reads afterwards: five journals, one line each thing.
 *
 *   client-*.jsonl   what each client sent and received        log.jsonl      what Redis and Postgres hold at the end
 *   model-*.jsonl    every call to the fake model provider     fault.jsonl    what was done to whom, and when
 *   effect-*.jsonl   every effect of the fake tools            run.jsonl      the run itself
 *
 * Conventions that make the lines comparable:
 * - `at`, `began`, `healed`, … are milliseconds of one monotonic clock, which all processes of a machine share (`now`).
 * - A command has one id everywhere: it is sent as `commandId`, as `requestId` and as the id of its task, by whoever
 *   sends it, however often. So every event of the service names the command that caused it.
 * - `hash` is a fingerprint (fingerprint.ts) of bytes; bodies of events are hashed exactly as they were received.
 * - A client has one name for its whole life, over all its connections, and stands in one file.
 */
import type { LoggedEventType, ToolCallStart } from '../protocol/events.js'

export type EffectClass = ToolCallStart['data']['effect']

/** Milliseconds of CLOCK_MONOTONIC, to the microsecond: comparable between the processes of one machine. */
export const now = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000

export type CommandType = 'spawn' | 'execute' | 'stop' | 'pause' | 'resume' | 'cancel'

interface ClientLineBase {
  /** Name of the client. */
  readonly client: string
  readonly at: number
}

/** A command goes out, for the first time or again. */
export interface Sent extends ClientLineBase {
  readonly kind: 'sent'
  readonly command: string
  readonly type: CommandType
  /** Missing for a spawn: its session has no id yet. */
  readonly session?: string
  /** Made to bring its worker down: that it is set aside is what we want. */
  readonly poison?: true
}

/** `command_accepted`. */
export interface Accepted extends ClientLineBase {
  readonly kind: 'accepted'
  readonly command: string
  readonly session: string
  readonly duplicate: boolean
}

/** An `error` that answers a command. */
export interface Refused extends ClientLineBase {
  readonly kind: 'refused'
  readonly command: string
  readonly code: string
}

/** A logged event. */
export interface Seen extends ClientLineBase {
  readonly kind: 'event'
  readonly session: string
  readonly event: string
  readonly type: LoggedEventType
  /** Of the frame. */
  readonly hash: number
}

/** A `stream_chunk`. */
export interface TextSeen extends ClientLineBase {
  readonly kind: 'text'
  readonly session: string
  readonly message: string
  readonly offset: number
  readonly bytes: number
  /** Of all text of the message that this client has, this piece included. */
  readonly hash: number
}

/**
 * `subscribed`. Between sending `subscribe` and this answer a client writes down no events and no text of the session:
 * they may still belong to what it had before.
 */
export interface Subscription extends ClientLineBase {
  readonly kind: 'subscribed'
  readonly session: string
  /** The position that what follows continues. */
  readonly event: string
  readonly reset: boolean
}

/** The client unsubscribed, and will see no more of the session. */
export interface Left extends ClientLineBase {
  readonly kind: 'left'
  readonly session: string
}

export interface Connected extends ClientLineBase {
  readonly kind: 'connected'
  /** Name of the edge's node, as the fault journal names it. */
  readonly edge: string
}

export interface Disconnected extends ClientLineBase {
  readonly kind: 'disconnected'
}

/** The client ended by itself. `complete`: it was connected and waited until nothing more came, so it must have everything. */
export interface Closed extends ClientLineBase {
  readonly kind: 'closed'
  readonly complete: boolean
}

export type ClientLine =
  | Sent
  | Accepted
  | Refused
  | Seen
  | TextSeen
  | Subscription
  | Left
  | Connected
  | Disconnected
  | Closed

/** An event as a store holds it at the end of the run; of one session and store in the store's order. */
export interface LogLine {
  readonly kind: 'log'
  readonly store: 'redis' | 'postgres'
  readonly session: string
  readonly event: string
  readonly type: LoggedEventType
  /** Of the stored JSON. */
  readonly hash: number
  /** The id inside the JSON, where it is not the one that the event is stored under. */
  readonly named?: string
  /** The command that caused it. */
  readonly command?: string
  /** Of `stream_start` and `stream_end`; with the latter bytes and fingerprint of its text. */
  readonly message?: string
  readonly bytes?: number
  readonly text?: number
  /** Of `tool_call_start` and `tool_call_result`. */
  readonly call?: string
  readonly effect?: EffectClass
  /** Of `task_failed`. */
  readonly code?: string
  /** Of `session_status_update`. */
  readonly status?: string
  /** Of `session_takeover`: the node that had the session before, the one that has it now, and which attempt this is. */
  readonly from?: string
  readonly to?: string
  readonly attempt?: number
}

/** A call to the fake provider. A command's steps are counted by the answers of the model that the request holds. */
export interface ModelLine {
  readonly kind: 'model'
  readonly command: string
  readonly step: number
  /** Who called, where that is known. */
  readonly node?: string
  readonly began: number
  readonly ended: number
  /** `cut` by the provider, which was told to; `gone` the caller hung up. */
  readonly outcome: 'complete' | 'cut' | 'gone'
}

/** An effect of a fake tool. */
export interface EffectLine {
  readonly kind: 'effect'
  readonly command: string
  /** Id of the tool call, as the model chose it. */
  readonly call: string
  readonly class: EffectClass
  /** Of the arguments. */
  readonly hash: number
  readonly node?: string
  readonly at: number
}

/** Faults as the suite numbers them. */
export type FaultKind =
  | 'worker-kill'
  | 'edge-kill'
  | 'edge-freeze'
  | 'leader-kill'
  | 'leader-freeze'
  | 'worker-freeze'
  | 'redis-kill'
  | 'redis-failover'
  | 'partition'
  | 'store-failpoint'
  | 'postgres-outage'
  | 'slow-reader'
  | 'flood'
  | 'duplicates'
  | 'poison'
  | 'model-cut'
  | 'rolling-update'
  | 'scale'
  | 'clock-skew'

export interface FaultLine {
  readonly kind: 'fault'
  /** Of the design's table, for example `T4`. */
  readonly test: string
  readonly fault: FaultKind
  /** Unique in the run. */
  readonly id: string
  /** The victim, by its node id (name@incarnation) where it is a node. */
  readonly node?: string
  readonly began: number
  /** When what was done was undone: restarted, continued, connected again. For a kill without restart: when it was done. */
  readonly healed: number
  /** The victim lived, but none of its beats could be acknowledged between `began` and `healed`. */
  readonly isolated?: true
  /** Redis may have lost what it had acknowledged. */
  readonly losesWrites?: true
  /** What sets it apart from others of its kind. */
  readonly variant?: string
  /**
   * What had been accepted and had not ended when it began: of the victim where that is a node, of everybody where it is a
   * store, which all have in common.
   */
  readonly inFlight?: { readonly sessions: number; readonly commands: number }
  /** When the primary was lost whose replica was cut off at `began`: what it took in between may be lost with it. */
  readonly cutUntil?: number
}

export interface RunLine {
  readonly kind: 'run'
  readonly seed: number
  readonly began: number
  /** When the load ended, and when the logs were read. */
  readonly loadEnded: number
  readonly ended: number
}

export type JournalLine = ClientLine | LogLine | ModelLine | EffectLine | FaultLine | RunLine

/** Lines in batches, from memory or from a file: nobody needs to hold them all. */
export type Lines<L> = AsyncIterable<readonly L[]> | Iterable<readonly L[]>

/** All that is known of a run. Each client stands in one of `clients`, with its lines in order. */
export interface History {
  readonly run: RunLine
  readonly faults: readonly FaultLine[]
  readonly log: Lines<LogLine>
  readonly clients: readonly Lines<ClientLine>[]
  readonly models: readonly Lines<ModelLine>[]
  readonly effects: readonly Lines<EffectLine>[]
}
