/**
 * Where an attempt at a delegated task belongs in traces: under the command that asked for the delegation, beside the
 * attempts before it.
 */
import type { Span, SpanEnd, Tracing } from '../telemetry/tracing.js'
import { type Assigned, type AttemptOutcome, attemptId } from './attempt.js'

/** From the beginning of an attempt, or from when this process went on with it, to its outcome. */
export function attemptSpan(tracing: Tracing, row: Assigned, resumed: boolean): Span {
  return tracing.start('delegate', {
    kind: 'consumer',
    parent: row.traceparent ?? undefined,
    attributes: {
      ...{ 'messaging.operation.type': 'process', 'messaging.message.id': attemptId(row) },
      ...{ 'orchestrator.tenant': row.tenant, 'orchestrator.delegation.id': row.id, 'orchestrator.target': row.target },
      ...{ 'orchestrator.delegation.attempt': row.attempt, 'orchestrator.takeover': resumed },
    },
  })
}

export function endedAs(outcome: AttemptOutcome): SpanEnd {
  if (outcome.status === 'refused') return { error: outcome.code }
  if (outcome.status !== 'ended') return { error: outcome.status }
  const { end, sessionId } = outcome
  const error = end.type === 'task_completed' ? undefined : end.type === 'task_failed' ? end.code : 'cancelled'
  return { attributes: { 'gen_ai.conversation.id': sessionId }, error }
}
