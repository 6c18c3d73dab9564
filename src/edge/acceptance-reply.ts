/**
 * What a client is told of what a worker has decided about its command.
 */
import { type Acceptance, LIMITS } from '../bus/bus.js'
import type { RequestId } from '../protocol/commands.js'
import { ServiceError } from '../protocol/errors.js'
import type { CommandAccepted } from '../protocol/replies.js'

interface Asking {
  readonly commandId: string | undefined
  readonly requestId: RequestId | undefined
}

/** Undefined for a client that did not name its command. */
export function acceptedFrame(
  { sessionId, status, detail }: Acceptance,
  { commandId, requestId }: Asking,
): string | undefined {
  if (commandId === undefined) return undefined
  return JSON.stringify(
    commandAccepted({ commandId, sessionId, requestId, duplicate: status === 'dup', result: detail }),
  )
}

/** The reply to a client that named its command; `result` is '' before the command has ended. */
export function commandAccepted(about: {
  readonly commandId: string
  readonly sessionId: string
  readonly requestId: RequestId | undefined
  readonly duplicate: boolean
  readonly result: string
}): CommandAccepted {
  const { commandId, sessionId, requestId, duplicate, result } = about
  return {
    type: 'command_accepted',
    commandId,
    sessionId,
    duplicate,
    ...(result !== '' && { result }),
    ...(requestId !== undefined && { requestId }),
  }
}

export function refusal({ sessionId, status, detail }: Acceptance): ServiceError {
  if (status === 'final') return new ServiceError('session_not_running', { sessionId, status: detail })
  if (status === 'busy') return new ServiceError('busy', { retryAfterMs: LIMITS.busyRetryMs })
  if (status === 'unavailable') {
    return new ServiceError('unavailable', { reason: 'the session rests in the database, which does not answer' })
  }
  return new ServiceError('session_not_found', { sessionId })
}
