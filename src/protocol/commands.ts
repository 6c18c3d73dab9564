/**
 * What a client may ask: one zod schema per message type, as a discriminated union. Shapes are a superset of the
 * reference's README and of what its code accepted (rows W-10 to W-20 of docs/compatibility.md).
 */
import { z } from 'zod'
import { APPROVAL_DECISIONS, APPROVAL_FILTERS, MAX_COMMENT_CHARS } from './approvals.js'
import { delegationIdSchema, delegationSchema } from './federation.js'
import { eventIdSchema } from './ids.js'
import {
  freeFormSchema,
  memoryProfileSchema,
  SESSION_STATUSES,
  SESSION_TYPES,
  sessionOptionsSchema,
  timedTaskSchema,
} from './session.js'
import { MAX_TRACEPARENT_CHARS } from './traceparent.js'

export const MAX_ID_CHARS = 128
/** Stands in the session's small state. */
export const MAX_FAILURE_CHARS = 500
/** A list page; larger answers are paged with `cursor`. */
export const MAX_PAGE = 200
/** A time and the id of a session, in base64. */
const MAX_CURSOR = 128

const requestId = z.union([z.string().max(MAX_ID_CHARS), z.number()])

/** A place in a trace, as a client names it; a text that is none is passed over, see `traceparent.ts`. */
export const traceparentSchema = z.string().max(MAX_TRACEPARENT_CHARS).optional()

/**
 * Fields that any message may carry. `requestId` (or `id`) is echoed in every answer. `commandId` is the client's own
 * id for a command: sent twice, it takes effect once. `traceparent` is the place in a trace of the W3C that a command is
 * sent from; one that is not well-formed is passed over.
 */
const envelope = {
  requestId: requestId.optional(),
  id: requestId.optional(),
  commandId: z.string().min(1).max(MAX_ID_CHARS).optional(),
  auth: z.object({ token: z.string().optional(), apiKey: z.string().optional() }).optional(),
  traceparent: traceparentSchema,
}

const sessionId = z.string().min(1).max(MAX_ID_CHARS)
const forSession = z.object({ sessionId })

/** Where a client wants to go on: the last event it has, and how much it has of the message being streamed. */
export const positionSchema = z.object({
  eventId: eventIdSchema,
  messageId: z.string().max(MAX_ID_CHARS).optional(),
  /** UTF-8 bytes of `messageId` that the client has. */
  offset: z.number().int().nonnegative().optional(),
})
export type Position = z.infer<typeof positionSchema>

/** A session to be; what each message says is exported where another door takes it too. */
export const spawnPayloadSchema = z.object({
  orchestratorId: z.string().min(1).max(MAX_ID_CHARS).default('default'),
  task: timedTaskSchema,
  sessionType: z.enum(SESSION_TYPES).optional(),
  idempotencyKey: z.string().min(1).max(MAX_ID_CHARS).optional(),
  /** The same as `options.memoryProfile`, as the reference has it; empty means none. */
  memoryProfile: memoryProfileSchema.optional(),
  options: sessionOptionsSchema.optional(),
})

export const executePayloadSchema = z.object({
  sessionId,
  task: timedTaskSchema,
  context: freeFormSchema.optional(),
  streamResponse: z.boolean().optional(),
})

export const cancelPayloadSchema = z.object({ sessionId, taskId: z.string().min(1).max(MAX_ID_CHARS).optional() })

export const decisionPayloadSchema = z.object({
  sessionId,
  approvalId: z.string().min(1).max(MAX_ID_CHARS),
  decision: z.enum(APPROVAL_DECISIONS),
  comment: z.string().max(MAX_COMMENT_CHARS).optional(),
})

export const listTasksPayloadSchema = z.object({
  /** Also what waits in the inbox of this session, which comes first. */
  sessionId: sessionId.optional(),
  /** Of scheduled tasks: those that wait (default), those that are over, or all. */
  state: z.enum(['waiting', 'over', 'all']).optional(),
  limit: z.number().int().min(1).max(MAX_PAGE).optional(),
  cursor: z.string().max(MAX_ID_CHARS).optional(),
})

const listApprovalsPayloadSchema = z.object({
  /** Only of this session. */
  sessionId: sessionId.optional(),
  /** Only this one, whatever its state. */
  approvalId: z.string().min(1).max(MAX_ID_CHARS).optional(),
  /** Default `pending`. */
  state: z.enum(APPROVAL_FILTERS).optional(),
  limit: z.number().int().min(1).max(MAX_PAGE).optional(),
  cursor: z.string().max(MAX_ID_CHARS).optional(),
})

/** Which sessions a list shows; without a word all that the caller may see. */
export const sessionFilterSchema = z.object({
  statuses: z.array(z.enum(SESSION_STATUSES)).min(1).max(SESSION_STATUSES.length).optional(),
  sessionType: z.enum(SESSION_TYPES).optional(),
  orchestratorId: z.string().min(1).max(MAX_ID_CHARS).optional(),
  /** A part of the session's id, of its orchestrator's, or of the task it was spawned with. */
  search: z.string().min(1).max(MAX_ID_CHARS).optional(),
})

export const clientMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('spawn_session'), ...envelope, payload: spawnPayloadSchema }),
  z.object({ type: z.literal('execute_task'), ...envelope, payload: executePayloadSchema }),
  z.object({ type: z.literal('session_status'), ...envelope, payload: forSession }),
  z.object({
    type: z.literal('stop_session'),
    ...envelope,
    /** With `failure` the session ends as `failed`, for this reason, instead of as `terminated`. */
    payload: forSession.extend({ failure: z.string().min(1).max(MAX_FAILURE_CHARS).optional() }),
  }),
  z.object({ type: z.literal('complete_session'), ...envelope, payload: forSession }),
  z.object({ type: z.literal('pause_session'), ...envelope, payload: forSession }),
  z.object({ type: z.literal('resume_session'), ...envelope, payload: forSession }),
  z.object({ type: z.literal('cancel_task'), ...envelope, payload: cancelPayloadSchema }),
  z.object({ type: z.literal('approval_decision'), ...envelope, payload: decisionPayloadSchema }),
  z.object({
    type: z.literal('list_approvals'),
    ...envelope,
    payload: listApprovalsPayloadSchema.optional(),
  }),
  z.object({
    type: z.literal('cancel_scheduled'),
    ...envelope,
    payload: z.object({ scheduleId: z.string().min(1).max(MAX_ID_CHARS) }),
  }),
  z.object({ type: z.literal('list_tasks'), ...envelope, payload: listTasksPayloadSchema.optional() }),
  z.object({
    type: z.literal('subscribe'),
    ...envelope,
    payload: z.object({ sessionId, from: positionSchema.optional() }),
  }),
  z.object({ type: z.literal('unsubscribe'), ...envelope, payload: forSession }),
  z.object({
    type: z.literal('list_sessions'),
    ...envelope,
    payload: sessionFilterSchema
      .extend({
        limit: z.number().int().min(1).max(MAX_PAGE).optional(),
        cursor: z.string().max(MAX_CURSOR).optional(),
      })
      .optional(),
  }),
  z.object({ type: z.literal('daemon_status'), ...envelope }),
  z.object({
    type: z.literal('route_task'),
    ...envelope,
    payload: delegationSchema.omit({ id: true }).extend({
      /** Delegate it too: the result follows as `delegation_result`. */
      execute: z.boolean().optional(),
      delegationId: delegationIdSchema.optional(),
    }),
  }),
  z.object({ type: z.literal('token_refresh'), ...envelope }),
  z.object({ type: z.literal('health_check'), ...envelope }),
  z.object({ type: z.literal('ping'), ...envelope }),
])

/** A message after validation, with every default filled in. */
export type ClientMessage = z.output<typeof clientMessageSchema>
/** A message as a client may write it. */
export type ClientMessageInput = z.input<typeof clientMessageSchema>
export type ClientMessageType = ClientMessage['type']
export type RequestId = z.infer<typeof requestId>
