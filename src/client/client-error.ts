/**
 * What goes wrong for a user of the client: the service's own codes, and a few of the client itself.
 */
import type { ErrorReply } from '../protocol/replies.js'

/**
 * Codes of the client itself. `connection_failed` no server could be reached · `closed` the client was closed ·
 * `timeout` no answer in time · `session_ended` the session ended before the task did · `slow_consumer` the queue of a
 * session ran over; attach again from the handle's position · `refused` something before the service, a proxy for
 * instance, refused the credential; the service's own refusals have the codes of its error table, `jwt_expired` and others.
 */
export type ClientErrorCode = 'connection_failed' | 'closed' | 'timeout' | 'session_ended' | 'slow_consumer' | 'refused'

export class ClientError extends Error {
  constructor(
    /** A code of the service's error table, or a `ClientErrorCode`. */
    readonly code: string,
    message: string,
    readonly details: {
      readonly retryable?: boolean
      readonly retryAfterMs?: number
      readonly sessionId?: string
      /** True when the same was sent before and its fate is not known: that one may have been taken. */
      readonly mayBeTaken?: boolean
      readonly cause?: unknown
    } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'ClientError'
  }

  static fromReply(reply: ErrorReply, mayBeTaken = false): ClientError {
    const { code, error, retryable, retryAfterMs, sessionId } = reply
    return new ClientError(code, error, {
      retryable,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...(sessionId !== undefined && { sessionId }),
      ...(mayBeTaken && { mayBeTaken }),
    })
  }
}
