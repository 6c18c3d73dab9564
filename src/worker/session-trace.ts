/**
 * What a worker tells of commands and turns in spans. Nothing here is called where tracing is off.
 *
 *   command (edge) ─┬─ accept
 *                   └─ invoke_agent ─┬─ chat <model>, execute_tool <tool>
 *                                    └─ commit ─▶ fan out (edges)
 */
import type { Command, Submission, TaskCommand } from '../bus/command.js'
import type { TaskUsage } from '../protocol/session.js'
import { isSampled } from '../protocol/traceparent.js'
import { shardOf } from '../shards/shard.js'
import type { Span, SpanEnd, Tracing } from '../telemetry/tracing.js'
import type { WrittenEvents } from './change-builder.js'

/** A worker has asked for commands at `askedAt`, and has this one now. */
export function tellAccepted(
  tracing: Tracing,
  { sessionId, commandId, type }: Submission,
  { traceparent }: Command,
  askedAt: number,
): void {
  if (traceparent === undefined) return
  const attributes = {
    ...{ 'gen_ai.conversation.id': sessionId, 'orchestrator.command.id': commandId },
    ...{ 'orchestrator.command.type': type, 'orchestrator.shard': shardOf(sessionId) },
  }
  tracing.start('accept', { kind: 'consumer', parent: traceparent, startedAt: askedAt, attributes }).end()
}

/** Of a session in its turn. */
export interface TracedHost {
  readonly id: string
  readonly tenant: string
  readonly claim: { readonly owner: string; readonly epoch: number }
  readonly services: { readonly tracing: Tracing | undefined }
  readonly writer: {
    readonly state: { readonly session: { readonly type: string }; readonly turn: number }
    readonly conversation: { readonly open: { readonly traceparent: string | undefined } | undefined }
  }
}

/**
 * From the beginning of a turn on this worker to its end; what is recorded and done in it hangs under it. One that goes on
 * with the turn of a former owner has a link to that. Undefined where nothing is traced.
 */
export function turnSpan(
  { id, tenant, claim, services, writer }: TracedHost,
  command: TaskCommand,
  isResumed: boolean,
): Span | undefined {
  const { session, turn } = writer.state
  const link = isResumed ? writer.conversation.open?.traceparent : undefined
  return services.tracing?.start(`invoke_agent ${session.type}`, {
    ...{ parent: command.traceparent, link },
    attributes: {
      ...{ 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': session.type, 'gen_ai.conversation.id': id },
      ...{ 'orchestrator.tenant': tenant, 'orchestrator.task.id': command.task.id },
      ...{ 'orchestrator.turn': isResumed ? turn : turn + 1, 'orchestrator.takeover': isResumed },
      ...{ 'orchestrator.worker': claim.owner, 'orchestrator.epoch': claim.epoch },
    },
  })
}

/** Why a turn did not complete. */
export const codeOf = (end: { readonly kind: string; readonly code?: string }): string | undefined =>
  end.kind === 'completed' ? undefined : (end.code ?? end.kind)

/** `code` is why it failed, or that it was cancelled. */
export function turnEnd(usage: TaskUsage, code: string | undefined): SpanEnd {
  const attributes = {
    'gen_ai.usage.input_tokens': usage.promptTokens,
    'gen_ai.usage.output_tokens': usage.completionTokens,
    'orchestrator.cost_usd': usage.cost,
  }
  return { attributes, error: code }
}

/** While events of a traced command are written; undefined for others. */
export function commitSpan(tracing: Tracing, sessionId: string, { events }: WrittenEvents): Span | undefined {
  const [first] = events
  if (first?.traceparent === undefined || !isSampled(first.traceparent)) return undefined
  const attributes = {
    'gen_ai.conversation.id': sessionId,
    'orchestrator.events': events.length,
    'orchestrator.event.types': events.map(({ type }) => type),
  }
  return tracing.start('commit', { kind: 'client', parent: first.traceparent, attributes })
}

/** Ends the span with what it tells of. */
export async function during<T extends { readonly status: string }>(span: Span, work: Promise<T>): Promise<T> {
  try {
    const reply = await work
    span.end(reply.status === 'ok' ? {} : { error: reply.status })
    return reply
  } finally {
    span.end({ error: 'lost' })
  }
}
