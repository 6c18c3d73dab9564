/**
 * What an edge tells of commands and of what comes of them in spans. Nothing here is called where tracing is off.
 */
import type { Acceptance, OutEntry } from '../bus/bus.js'
import type { Submission } from '../bus/command.js'
import type { ClientMessage, ClientMessageType } from '../protocol/commands.js'
import { contextOf, isSampled, isTraceparent } from '../protocol/traceparent.js'
import { shardOf } from '../shards/shard.js'
import type { Span, Tracing } from '../telemetry/tracing.js'
import { sessionIdOf } from './message.js'

/** Questions are answered by the edge itself: their time stands in its metrics. */
const COMMANDS: ReadonlySet<ClientMessageType> = new Set<ClientMessageType>([
  'spawn_session',
  'execute_task',
  'stop_session',
  'complete_session',
  'pause_session',
  'resume_session',
  'cancel_task',
  'approval_decision',
  'route_task',
])

/** From a command's arrival until it is handed to its shard; undefined for a message that is none. */
export function receivedSpan(tracing: Tracing, tenant: string, message: ClientMessage): Span | undefined {
  if (!COMMANDS.has(message.type) || isQuestion(message)) return undefined
  const attributes = { 'gen_ai.conversation.id': sessionIdOf(message), 'orchestrator.tenant': tenant }
  return tracing.start(message.type, { kind: 'server', parent: contextOf(message), attributes })
}

/** Who would get a task is only asked, unless it is to be done too. */
const isQuestion = (message: ClientMessage): boolean =>
  message.type === 'route_task' && message.payload.execute !== true

/** From handing a command to its shard until a worker has accepted it. */
export function submittedSpan(
  tracing: Tracing,
  { sessionId, commandId, type }: Pick<Submission, 'sessionId' | 'commandId' | 'type'>,
  traceparent: string | undefined,
): Span | undefined {
  if (traceparent === undefined) return undefined
  const attributes = {
    ...{ 'gen_ai.conversation.id': sessionId, 'orchestrator.command.id': commandId },
    ...{ 'orchestrator.command.type': type, 'orchestrator.shard': shardOf(sessionId) },
  }
  return tracing.start('submit', { kind: 'producer', parent: traceparent, attributes })
}

export const acceptedAs = ({ status }: Acceptance) => ({ attributes: { 'orchestrator.acceptance': status } })

/** An event's context stands before anything that a client has written, and within so many characters. */
const HEAD_CHARS = 400
const CONTEXT = /"traceparent":"([^"]+)"/

/** While events of a traced command go out to those who watch; undefined for others. */
export function fanOutSpan(
  tracing: Tracing,
  { sessionId, events }: Extract<OutEntry, { kind: 'events' }>,
  watchers: number,
): Span | undefined {
  const parent = CONTEXT.exec(events[0]?.body.slice(0, HEAD_CHARS) ?? '')?.[1]
  if (parent === undefined || !isTraceparent(parent) || !isSampled(parent)) return undefined
  const attributes = {
    ...{ 'gen_ai.conversation.id': sessionId, 'orchestrator.events': events.length },
    ...{ 'orchestrator.event.id': events[0]?.eventId, 'orchestrator.watchers': watchers },
  }
  return tracing.start('fan out', { kind: 'consumer', parent, attributes })
}
