/**
 * Where a run of a scheduled task belongs in traces. A task that runs once hangs under the command that asked for it, however
 * long ago that was. Each run of a repeated one begins a trace of its own, with a link to that command: a trace that went on
 * for years could be shown by nobody.
 */
import type { Run, ScheduledRow } from '../storage/scheduled-tasks.js'
import type { Span, SpanEnd, Tracing } from '../telemetry/tracing.js'
import { runId, taskIdOf } from './request.js'

type Traced = Pick<ScheduledRow, 'id' | 'tenant' | 'taskId' | 'cron' | 'dueAt' | 'traceparent' | 'sessionId'>

/** From the beginning of a run until a session has it: in the words of messaging, the processing of a message. */
export function runSpan(tracing: Tracing, row: Traced, run: Run): Span {
  const asked = row.traceparent ?? undefined
  return tracing.start('run scheduled', {
    kind: 'consumer',
    ...(row.cron === null ? { parent: asked } : { link: asked }),
    attributes: {
      ...{ 'messaging.operation.type': 'process', 'messaging.message.id': runId(row, run) },
      ...{ 'orchestrator.tenant': row.tenant, 'orchestrator.task.id': taskIdOf(row, run) },
      ...{ 'orchestrator.schedule.id': row.id, 'orchestrator.schedule.run': run.occurrence },
      ...{ 'orchestrator.schedule.due': run.scheduledFor, 'orchestrator.schedule.missed': run.missed },
      'gen_ai.conversation.id': row.sessionId ?? undefined,
    },
  })
}

/** Where this node traces nothing: the place that the client named goes on to the task that runs once. */
export const contextOfRun = ({ cron, traceparent }: Pick<Traced, 'cron' | 'traceparent'>): string | undefined =>
  cron === null ? (traceparent ?? undefined) : undefined

export const broughtAs = ({ status, code }: { readonly status: string; readonly code?: string }): SpanEnd =>
  status === 'accepted' ? {} : { error: code ?? status }
