/**
 * The protocol of the reference's docs/WEBSOCKET_API.md (row A-10), which nobody spoke: a client says who it is, names the
 * events that it wants, shows that it is alive, and acknowledges. A channel is a session here: what it is told to do is a
 * message received, what it answers a message sent.
 */
import { z } from 'zod'
import { MAX_ID_CHARS } from './commands.js'
import type { ErrorCode } from './errors.js'
import type { LoggedEvent } from './events.js'
import { isTerminal } from './session.js'

const MAX_TOKEN_CHARS = 16_384
/** As the document has it. */
const MAX_EVENT_TYPES = 50
const MAX_CHANNELS = 200
const MAX_ACKS = 1_000

const id = z.string().min(1).max(MAX_ID_CHARS)
const head = { id: z.string().max(MAX_ID_CHARS).optional(), timestamp: z.string().max(MAX_ID_CHARS).optional() }
const eventTypes = z.array(id).min(1).max(MAX_EVENT_TYPES)

export const feedMessageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('auth'),
    ...head,
    payload: z.object({
      accessToken: z.string().min(1).max(MAX_TOKEN_CHARS),
      daemonId: id.optional(),
      orchestratorId: id.optional(),
    }),
  }),
  z.object({
    type: z.literal('heartbeat'),
    ...head,
    payload: z.object({
      status: z.enum(['active', 'idle', 'busy']).optional(),
      metrics: z.record(z.string(), z.unknown()).optional(),
    }),
  }),
  z.object({
    type: z.literal('subscribe'),
    ...head,
    /** Without channels: all of the client's that have not ended, the newest of very many. */
    payload: z.object({ eventTypes, channelIds: z.array(id).min(1).max(MAX_CHANNELS).optional() }),
  }),
  z.object({ type: z.literal('unsubscribe'), ...head, payload: z.object({ eventTypes }) }),
  z.object({ type: z.literal('ack'), ...head, payload: z.object({ eventIds: z.array(id).min(1).max(MAX_ACKS) }) }),
])
export type FeedMessage = z.output<typeof feedMessageSchema>

export const FEED_CLOSE = {
  AUTH_FAILED: 4001,
  AUTH_TIMEOUT: 4002,
  TOKEN_EXPIRED: 4003,
  RATE_LIMITED: 4004,
  INSUFFICIENT_SCOPE: 4005,
  SESSION_TERMINATED: 4006,
} as const
export type FeedClose = keyof typeof FEED_CLOSE

/** Why a credential is refused, in the words of the document; others count as too many connections. */
export function authErrorOf(
  code: ErrorCode,
): 'AUTH_FAILED' | 'TOKEN_EXPIRED' | 'MAX_CONNECTIONS' | 'INSUFFICIENT_SCOPE' {
  if (code === 'jwt_expired') return 'TOKEN_EXPIRED'
  if (code === 'connection_limit_exceeded' || code === 'edge_full') return 'MAX_CONNECTIONS'
  return code === 'forbidden' ? 'INSUFFICIENT_SCOPE' : 'AUTH_FAILED'
}

/** The word of the document for a code of the one table. */
export function feedErrorOf(code: string): string {
  if (code === 'rate_limit_exceeded' || code === 'busy') return 'RATE_LIMITED'
  if (code === 'forbidden') return 'INSUFFICIENT_SCOPE'
  if (code === 'handshake_required') return 'NOT_AUTHENTICATED'
  if (code === 'internal' || code === 'unavailable') return 'INTERNAL_ERROR'
  return 'INVALID_MESSAGE'
}

export interface FeedEvent {
  readonly eventType: string
  readonly data: object
  /** Whether it is told again until the client has said that it has it. */
  readonly requiresAck: boolean
}

/** What an event of a session's log is in this protocol; nothing for what happens inside a task. */
export function feedEventsOf(event: LoggedEvent): readonly FeedEvent[] {
  const { sessionId: channelId, timestamp, traceparent } = event
  const about = { channelId, timestamp, ...(traceparent !== undefined && { traceparent }) }
  switch (event.type) {
    case 'session_spawned':
      return [told('channel.joined', { ...about, name: event.session.orchestratorId })]
    case 'task_executing':
      return [message('message.received', { ...about, messageId: event.taskId, content: event.task.description })]
    case 'task_completed':
      return [message('message.sent', { ...about, messageId: event.taskId, content: event.result.output })]
    case 'task_failed':
      return [told('vp.status_changed', { ...about, status: 'error', messageId: event.taskId, reason: event.error })]
    case 'session_status_update': {
      const { status } = event.session
      const left = isTerminal(status) ? [told('channel.left', { ...about, reason: status })] : []
      return [told('vp.status_changed', { ...about, status }), ...left]
    }
    default:
      return []
  }
}

const told = (eventType: string, data: object): FeedEvent => ({ eventType, data, requiresAck: false })
const message = (eventType: string, data: object): FeedEvent => ({ eventType, data, requiresAck: true })
