/**
 * Text frames to checked messages and errors to frames. Nothing a client sends can make this throw anything but a
 * `ServiceError`.
 */
import { type ClientMessage, clientMessageSchema, type RequestId } from './commands.js'
import { ServiceError } from './errors.js'
import { parseJson } from './json.js'
import type { ErrorReply } from './replies.js'

export type Decoded =
  | { readonly ok: true; readonly message: ClientMessage; readonly requestId: RequestId | undefined }
  | { readonly ok: false; readonly error: ServiceError; readonly requestId: RequestId | undefined }

const KNOWN_TYPES: ReadonlySet<string> = new Set(
  clientMessageSchema.options.map((option) => option.shape.type.value as string),
)

/** Reads one frame, text or binary, as the reference's daemon did (W-06). */
export function decode(frame: string): Decoded {
  let raw: unknown
  try {
    raw = parseJson(frame)
  } catch (error) {
    return { ok: false, error: error as ServiceError, requestId: undefined }
  }
  if (typeof raw !== 'object' || raw === null) {
    return { ok: false, error: new ServiceError('invalid_message'), requestId: undefined }
  }
  const requestId = requestIdOf(raw as Record<string, unknown>)
  if (!('type' in raw) || typeof raw.type !== 'string' || !KNOWN_TYPES.has(raw.type)) {
    return { ok: false, error: new ServiceError('unknown_type'), requestId }
  }
  const parsed = clientMessageSchema.safeParse(raw)
  if (parsed.success) return { ok: true, message: parsed.data, requestId }
  if (!('payload' in raw) || raw.payload === null) {
    return { ok: false, error: new ServiceError('invalid_message'), requestId }
  }
  const issue = parsed.error.issues[0]
  const reason = issue ? `${issue.path.join('.') || 'message'}: ${issue.message}` : 'unexpected shape'
  return { ok: false, error: new ServiceError('invalid_payload', { reason }), requestId }
}

function requestIdOf(raw: Record<string, unknown>): RequestId | undefined {
  const id = raw.requestId ?? raw.id
  return typeof id === 'string' || typeof id === 'number' ? id : undefined
}

/** The frame that tells a client what went wrong. */
export function errorReply(
  error: ServiceError,
  about: { requestId?: RequestId | undefined; sessionId?: string | undefined; commandId?: string | undefined } = {},
): ErrorReply {
  const retryAfterMs = error.details.retryAfterMs
  return {
    type: 'error',
    error: error.message,
    code: error.code,
    retryable: error.entry.retryable,
    ...(about.sessionId !== undefined && { sessionId: about.sessionId }),
    ...(about.requestId !== undefined && { requestId: about.requestId }),
    ...(about.commandId !== undefined && { commandId: about.commandId }),
    ...(typeof retryAfterMs === 'number' && { retryAfterMs }),
  }
}
