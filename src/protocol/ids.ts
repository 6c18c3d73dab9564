/**
 * Identifiers that travel: how each is made, checked and read.
 */
import { ulid as ulidWith } from 'ulid'
import { z } from 'zod'

/** Random bytes are drawn in blocks: drawing them one by one is what a ULID mostly costs. */
const RANDOM_BLOCK = 4_096
const randomBlock = new Uint8Array(RANDOM_BLOCK)
let randomAt = RANDOM_BLOCK

function random(): number {
  if (randomAt === RANDOM_BLOCK) {
    crypto.getRandomValues(randomBlock)
    randomAt = 0
  }
  return (randomBlock[randomAt++] ?? 0) / 256
}

const ulid = (): string => ulidWith(undefined, random)

/** `session_<shard, 3 hex digits>_<ULID>`. The shard never changes, so any edge routes a session by arithmetic. */
export type SessionId = string

const SESSION_ID = /^session_([0-9a-f]{3})_[0-9A-HJKMNP-TV-Z]{26}$/
const SHARD_DIGITS = 3

/** A tenant becomes part of Redis keys, so its alphabet is closed. */
export const tenantSchema = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'a tenant is 1 to 64 letters, digits, _ or -')

/** Mints the id of a new session in `shard` (0…4095). */
export function newSessionId(shard: number): SessionId {
  return `session_${shard.toString(16).padStart(SHARD_DIGITS, '0')}_${ulid()}`
}

/** The shard that a session id carries, or undefined when the text is no session id. */
export function shardOfSession(id: string): number | undefined {
  const match = SESSION_ID.exec(id)
  return match?.[1] === undefined ? undefined : Number.parseInt(match[1], 16)
}

export const newCommandId = (): string => `cmd_${ulid()}`
export const newMessageId = (): string => `msg_${ulid()}`
export const newWriterId = (): string => ulid()
export const newDeadLetterId = (): string => `dead_${ulid()}`
export const newApprovalId = (): string => `approval_${ulid()}`
/** Ids of scheduled tasks rise with time. */
export const newScheduleId = (): string => `schedule_${ulid()}`
export const newMemoryId = (): string => `mem_${ulid()}`
export const newTaskId = (): string => `task_${ulid()}`

/**
 * Id of a node process: its configured name and a random incarnation, so that a restarted process is a new node and a
 * dead one can never come back.
 */
export type NodeId = string

export const newNodeId = (name: string): NodeId => `${name}@${ulid().slice(-10).toLowerCase()}`
export const nodeName = (id: NodeId): string => id.slice(0, id.lastIndexOf('@'))

/**
 * Place of an event in its session's log: `<epoch>-<seq>`. `seq` rises by one with every event and never restarts;
 * `epoch` names the owner that wrote it: 7-42 is followed by 7-43 or, after a move, by 8-43.
 */
export interface EventId {
  readonly epoch: number
  readonly seq: number
}

/** The position before the first event of any session. */
export const LOG_START = '0-0'

const EVENT_ID = /^(\d{1,15})-(\d{1,15})$/
export const eventIdSchema = z.string().regex(EVENT_ID, 'an event id looks like 7-42')

export function parseEventId(text: string): EventId | undefined {
  const match = EVENT_ID.exec(text)
  return match ? { epoch: Number(match[1]), seq: Number(match[2]) } : undefined
}

export const formatEventId = (epoch: number, seq: number): string => `${epoch}-${seq}`
