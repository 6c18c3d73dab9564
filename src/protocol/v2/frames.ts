/**
 * The frames of the second protocol, which `@neolith/daemon-sdk` speaks, and errors of the one table in its words.
 *
 *   client → { type: 'req', id, method, params?, traceparent? }
 *   server → { type: 'res', id, ok, payload?, error? }      one for each request
 *            { type: 'event', event, payload?, seq?, subscriptionId? }
 */
import { z } from 'zod'
import { MAX_ID_CHARS, type RequestId, traceparentSchema } from '../commands.js'
import { ERRORS, type ErrorCode } from '../errors.js'
import type { ErrorReply } from '../replies.js'

/** The version that is spoken here. */
export const PROTOCOL = 2
const MAX_METHOD_CHARS = 64

export const requestFrameSchema = z.object({
  type: z.literal('req'),
  id: z.string().min(1).max(MAX_ID_CHARS),
  method: z.string().min(1).max(MAX_METHOD_CHARS),
  params: z.unknown().optional(),
  /** The client's place in a trace, as with commands of the first protocol. */
  traceparent: traceparentSchema,
})

/** A request, whichever way it was written. */
export interface Request {
  readonly id: RequestId
  readonly method: string
  readonly params: unknown
  readonly traceparent?: string | undefined
}

export type V2Code =
  | 'INVALID_REQUEST'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'RATE_LIMITED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'TIMEOUT'
  | 'PROTOCOL_MISMATCH'

export interface ErrorShape {
  readonly code: V2Code
  readonly message: string
  /** `code` is that of the one table, which tells more than the ten words of this protocol. */
  readonly details: { readonly code: string; readonly sessionId?: string; readonly commandId?: string }
  readonly retryable: boolean
  readonly retryAfterMs?: number
}

export interface EventFrame {
  readonly event: string
  readonly payload: object
  readonly seq: number
  readonly subscriptionId?: string | undefined
}

/** How frames are written: as this protocol has them, or as JSON-RPC 2.0. */
export interface Encoding {
  answer(id: RequestId, payload: object): string
  /** Without an id: the request could not be read far enough to tell which it was. */
  refusal(id: RequestId | undefined, error: ErrorShape): string
  event(frame: EventFrame): string
}

/** Stands for the id of a request that had none. */
const NO_ID = 'invalid'

export const NATIVE: Encoding = {
  answer: (id, payload) => JSON.stringify({ type: 'res', id, ok: true, payload }),
  refusal: (id = NO_ID, error) => JSON.stringify({ type: 'res', id, ok: false, error }),
  event: (frame) => JSON.stringify({ type: 'event', ...frame }),
}

const BY_STATUS: Readonly<Record<number, V2Code>> = {
  400: 'INVALID_REQUEST',
  401: 'UNAUTHORIZED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'INVALID_REQUEST',
  409: 'CONFLICT',
  413: 'INVALID_REQUEST',
  422: 'INVALID_REQUEST',
  424: 'CONFLICT',
  429: 'RATE_LIMITED',
  500: 'INTERNAL',
  501: 'UNAVAILABLE',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'TIMEOUT',
}

/** The word of this protocol for a code of the table; one that a newer worker brings is nothing the client did wrong. */
export function v2CodeOf(code: string): V2Code {
  if (code === 'protocol_mismatch') return 'PROTOCOL_MISMATCH'
  if (!Object.hasOwn(ERRORS, code)) return 'INTERNAL'
  return BY_STATUS[ERRORS[code as ErrorCode].http] ?? 'INTERNAL'
}

/** The error that a client of the first protocol would get. */
export function errorShape(reply: Omit<ErrorReply, 'type' | 'requestId'>): ErrorShape {
  const { code, error: message, retryable, retryAfterMs, sessionId, commandId } = reply
  return {
    code: v2CodeOf(code),
    message,
    details: { code, ...(sessionId !== undefined && { sessionId }), ...(commandId !== undefined && { commandId }) },
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  }
}
