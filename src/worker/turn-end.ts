/**
 * How a turn ends: what stops and failures mean for its task, and how the end is recorded.
 */
import { randomUUID } from 'node:crypto'
import type { TaskCommand } from '../bus/command.js'
import { type ErrorCode, ServiceError } from '../protocol/errors.js'
import type { NewEvent } from '../protocol/events.js'
import type { TaskUsage } from '../protocol/session.js'
import type { Stopping } from '../runtimes/runtime.js'
import type { SessionServices } from './session-services.js'
import type { StepJournal } from './step-journal.js'
import type { TurnHost } from './turn-host.js'
import { WriterLost } from './writer-lost.js'

export type TurnEnd =
  | { readonly kind: 'completed'; readonly output: string }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly error: string; readonly resetsAt?: string }
  | { readonly kind: 'cancelled'; readonly reason: string }

/** What an exception of the runtime means for the task. Loss of ownership means nothing: it is thrown on. */
export async function endOf(
  error: unknown,
  host: TurnHost,
  journal: StepJournal,
  signal: AbortSignal,
): Promise<TurnEnd> {
  if (error instanceof WriterLost) throw error
  const cancelled = cancelledBy(signal)
  await journal.messageCut()
  return cancelled ?? failedBy(error, host.services, host.id)
}

/** Undefined for a turn that nobody stopped. @throws WriterLost when we did: the next owner goes on */
export function cancelledBy(signal: AbortSignal): TurnEnd | undefined {
  if (!signal.aborted) return undefined
  const { kind } = signal.reason as Stopping
  if (kind !== 'cancelled' && kind !== 'stopped') throw new WriterLost('closed')
  return { kind: 'cancelled', reason: kind === 'stopped' ? 'the session was stopped' : 'cancelled' }
}

export function failedBy(error: unknown, { logger }: SessionServices, sessionId: string): TurnEnd {
  if (error instanceof ServiceError) return failure(error)
  const incident = randomUUID()
  logger.error({ err: error, incident, sessionId }, 'a turn failed')
  return failure(new ServiceError('internal', { incident }))
}

export function failure({ code, message: error, details: { resetsAt } }: ServiceError): TurnEnd {
  return { kind: 'failed', code, error, ...(typeof resetsAt === 'string' && { resetsAt }) }
}

function failedEvent<Base extends object>(
  base: Base,
  { error, code, resetsAt }: Extract<TurnEnd, { kind: 'failed' }>,
  usage: TaskUsage,
) {
  return { type: 'task_failed', ...base, error, code, ...(resetsAt !== undefined && { resetsAt }), usage } as const
}

/** Returns what the task has used. */
export function recordEnd(host: TurnHost, command: TaskCommand, end: TurnEnd): TaskUsage {
  const base = { ...host.writer.base(command), commandId: command.id, taskId: command.task.id }
  const usage = host.writer.conversation.usage(host.services.now().getTime())
  const event: NewEvent =
    end.kind === 'completed'
      ? { type: 'task_completed', ...base, result: { success: true, output: end.output }, usage }
      : end.kind === 'failed'
        ? failedEvent(base, end, usage)
        : { type: 'task_cancelled', ...base, reason: end.reason, usage }
  if (host.writer.conversation.open?.approvals.size) void host.services.approvals.cancel(host.id, command.id)
  host.services.onTurnEnded(end.kind, usage.duration / 1_000)
  // Losing the writer is told to the session, which is then loaded anew.
  host.writer.record([event], { popInbox: 1, ended: [command.id], clearPart: true }).catch(() => undefined)
  return usage
}
