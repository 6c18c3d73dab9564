/**
 * What happens in one session, told in the second protocol. A prompt is a task: its stream begins with the first model call
 * and ends with the task; what lies between is progress. Pure but for where it stands in the story.
 */
import { z } from 'zod'
import { ERRORS, type ErrorCode } from '../errors.js'
import type {
  ApprovalRequest,
  ApprovalResolved,
  LoggedEvent,
  SessionStatusUpdate,
  StreamChunk,
  TaskCancelled,
  TaskCompleted,
  TaskExecuting,
  TaskFailed,
  ToolCallResult,
  ToolCallStart,
} from '../events.js'
import { isTerminal, type Session } from '../session.js'
import type { V2Event, V2EventName } from './events.js'
import { type ErrorShape, errorShape } from './frames.js'
import { agentInfo, isSwarm, memberId, messageOf, type Role, roleOf, sessionInfo, teamStatus } from './shapes.js'

/** Where in the story a client comes in. */
export interface StoryStart {
  readonly session: Session | undefined
  readonly role: Role
  /** The prompt of which a client that goes on has heard the beginning; left out for one that comes new. */
  readonly promptId?: string | undefined
}

type Of<T extends LoggedEvent['type']> = Extract<LoggedEvent, { readonly type: T }>

/** The tool with which a coordinator adds an agent. */
const SPAWNS_AGENT = 'mcp__swarm__agent_spawn'

interface Prompt {
  readonly id: string
  begun: boolean
}

export class Story {
  readonly #sessionId: string
  #role: Role
  #isSwarm: boolean
  /** The task at work, and whether its stream has begun. */
  #prompt: Prompt | undefined

  constructor(sessionId: string, { session, role, promptId }: StoryStart) {
    this.#sessionId = sessionId
    this.#role = role
    this.#isSwarm = session !== undefined && isSwarm(session.type)
    this.#prompt = promptId === undefined ? promptIn(session) : { id: promptId, begun: true }
  }

  /** The prompt whose stream has begun and not ended. */
  get promptBegun(): string | undefined {
    return this.#prompt?.begun ? this.#prompt.id : undefined
  }

  /** None, one or several events, in their order. */
  tell(message: LoggedEvent | StreamChunk): readonly V2Event[] {
    if (message.type === 'stream_chunk') return this.#chunk(message)
    const { eventId, timestamp, traceparent } = message
    const about = { sessionId: this.#sessionId, eventId, timestamp, ...(traceparent !== undefined && { traceparent }) }
    return this.#eventsOf(message).map(({ event, payload }) => ({ event, payload: { ...about, ...payload } }))
  }

  /** The position was in no store: `session` is how things stand, and everything heard before is void. */
  reset(session: Session | undefined, eventId: string): readonly V2Event[] {
    this.#prompt = promptIn(session)
    const about = session && { status: sessionInfo(session).status, session: sessionInfo(session) }
    return [said('session.status', { sessionId: this.#sessionId, eventId, reset: true, ...about })]
  }

  #eventsOf(event: LoggedEvent): readonly V2Event[] {
    switch (event.type) {
      case 'session_spawned':
        return this.#spawned(event.session)
      case 'session_status_update':
        return this.#status(event)
      case 'task_executing':
        return this.#executing(event)
      case 'task_completed':
        return [said('stream.end', { ...this.#ended(event.taskId), ...resultOf(event) })]
      case 'task_failed':
        return [said('stream.error', { ...this.#ended(event.taskId), error: failureOf(event) })]
      case 'task_cancelled':
        return [said('stream.error', { ...this.#ended(event.taskId), error: cancellationOf(event) })]
      case 'stream_start':
        return this.#modelCall(event)
      case 'tool_call_start':
        return [said('tool.status', toolStatus(event))]
      case 'tool_call_result':
        return [said('tool.result', toolResult(event)), ...this.#member(event)]
      case 'approval_request':
        return [said('tool.request', toolRequest(event))]
      case 'approval_resolved':
        return [resolved(event)]
      default:
        return [this.#progress(event)]
    }
  }

  #spawned(session: Session): readonly V2Event[] {
    this.#role = roleOf(session.task)
    this.#isSwarm = isSwarm(session.type)
    return [
      said('session.created', sessionInfo(session)),
      ...this.#asTeam('team.status', session),
      ...this.#asAgent('agent.spawned', session),
    ]
  }

  #status({ session }: SessionStatusUpdate): readonly V2Event[] {
    const { status, error } = sessionInfo(session)
    const isOver = isTerminal(session.status)
    const why = error === undefined ? {} : { reason: error }
    return [
      said('session.status', { status, session: sessionInfo(session) }),
      ...this.#asTeam('team.status', session),
      ...this.#asAgent('agent.status', session),
      ...(isOver ? [said('session.stopped', { status, ...why })] : []),
      ...(isOver ? this.#asTeam('team.dissolved', session) : []),
      ...(isOver ? this.#asAgent('agent.stopped', session) : []),
    ]
  }

  #executing({ taskId, task }: TaskExecuting): readonly V2Event[] {
    this.#prompt = { id: taskId, begun: false }
    const told = this.#isSwarm ? messageOf(task) : undefined
    return [
      said('session.status', { status: 'running', promptId: taskId, task }),
      ...(told ? [said('team.message', told)] : []),
    ]
  }

  /** Only the first one of a prompt begins its stream. */
  #modelCall({ messageId, agent, metadata: { model } }: Of<'stream_start'>): readonly V2Event[] {
    const metadata = { messageId, ...(agent !== undefined && { agent }) }
    if (this.#hasBegun()) return [said('stream.progress', this.#step('model call', { model, ...metadata }))]
    return [said('stream.start', { promptId: this.#promptId(messageId), model, metadata })]
  }

  #chunk({ data: { chunk: content, messageId, offset } }: StreamChunk): readonly V2Event[] {
    const about = { sessionId: this.#sessionId, promptId: this.#promptId(messageId) }
    const chunk = said('stream.chunk', { ...about, chunkType: 'text', content, messageId, offset })
    // Whoever came in the middle of a message hears of its beginning, too.
    if (this.#hasBegun()) return [chunk]
    return [said('stream.start', { ...about, metadata: { messageId } }), chunk]
  }

  /** Whether the stream of the prompt has begun; from now on it has. Text without a prompt has no beginning of its own. */
  #hasBegun(): boolean {
    const begun = this.#prompt?.begun ?? true
    if (this.#prompt) this.#prompt.begun = true
    return begun
  }

  #promptId(otherwise: string): string {
    return this.#prompt?.id ?? otherwise
  }

  #ended(promptId: string): { readonly promptId: string } {
    this.#prompt = undefined
    return { promptId }
  }

  #progress(event: LoggedEvent): V2Event {
    const {
      type,
      eventId: _id,
      timestamp: _at,
      sessionId: _session,
      requestId: _request,
      traceparent: _trace,
      ...data
    } = event
    return said('stream.progress', this.#step(type.replaceAll('_', ' '), data))
  }

  #step(message: string, data: object) {
    return { ...(this.#prompt && { promptId: this.#prompt.id }), message, data }
  }

  #member({ data }: ToolCallResult): readonly V2Event[] {
    const agent = data.toolName === SPAWNS_AGENT && data.status === 'completed' ? memberIn(data.result) : undefined
    if (!agent) return []
    const agentId = memberId(this.#sessionId, agent.name)
    return [said('agent.spawned', { agentId, teamId: this.#sessionId, agentType: agent.role, status: 'initializing' })]
  }

  #asTeam(event: V2EventName, session: Session): readonly V2Event[] {
    return this.#role.team && this.#isSwarm ? [said(event, teamStatus(session, this.#role))] : []
  }

  #asAgent(event: V2EventName, session: Session): readonly V2Event[] {
    return this.#isSwarm && !this.#role.team ? [said(event, agentInfo(session, this.#role))] : []
  }
}

const promptIn = (session: Session | undefined): Prompt | undefined =>
  session?.task?.status === 'in_progress' ? { id: session.task.id, begun: false } : undefined

const said = (event: V2EventName, payload: object): V2Event => ({ event, payload })

const resultOf = ({ result, usage }: TaskCompleted) => ({
  usage: { inputTokens: usage.promptTokens, outputTokens: usage.completionTokens },
  metadata: { output: result.output, cost: usage.cost, durationMs: usage.duration },
})

/** A code that is not in the table comes from a newer worker. */
function failureOf({ code, error }: TaskFailed): ErrorShape {
  const known = Object.hasOwn(ERRORS, code) ? ERRORS[code as ErrorCode] : ERRORS.internal
  return errorShape({ code, error, retryable: known.retryable })
}

const cancellationOf = ({ reason }: TaskCancelled): ErrorShape => ({
  ...{ code: 'CONFLICT', message: `The prompt was cancelled: ${reason}`, retryable: false },
  details: { code: 'task_cancelled' },
})

const toolStatus = ({ data: { callId, toolName, toolInput }, agent }: ToolCallStart) => ({
  ...{ requestId: callId, callId, toolName, toolInput, status: 'started' },
  ...(agent !== undefined && { agent }),
})

const toolResult = ({ data: { callId, toolName, status, result, error }, agent }: ToolCallResult) => ({
  ...{ requestId: callId, callId, toolName, status },
  ...(result !== undefined && { result }),
  ...(error !== undefined && { error }),
  ...(agent !== undefined && { agent }),
})

const toolRequest = (event: ApprovalRequest) => {
  const { approvalId, callId, toolName, toolInput, reason, level, expiresAt, timestamp } = event
  const approvalTimeoutMs = Math.max(1, Date.parse(expiresAt) - Date.parse(timestamp))
  return {
    ...{ requestId: approvalId, callId, toolName, toolInput, reason, level, expiresAt },
    ...{ requiresApproval: true, approvalTimeoutMs },
  }
}

function resolved({ approvalId, callId, toolName, status, decidedBy, comment }: ApprovalResolved): V2Event {
  const about = {
    ...{ requestId: approvalId, callId, toolName },
    ...(decidedBy !== undefined && { decidedBy }),
    ...(comment !== undefined && { message: comment }),
  }
  if (status === 'approved') return said('tool.status', { ...about, status: 'running' })
  return said('tool.result', { ...about, status: status === 'expired' ? 'timeout' : 'denied', error: status })
}

const memberSchema = z.object({ name: z.string(), role: z.string() })

/** The agent that a result of the tool tells of, which stands there as text. */
function memberIn(result: object | undefined): z.output<typeof memberSchema> | undefined {
  const { content, value } = (result ?? {}) as { readonly content?: unknown; readonly value?: unknown }
  const [block] = [content ?? value].flat() as readonly { readonly text?: unknown }[]
  if (typeof block?.text !== 'string') return undefined
  try {
    return memberSchema.safeParse(JSON.parse(block.text)).data
  } catch {
    // A result that was cut, or of another version: the agent is seen by team.status all the same.
    return undefined
  }
}
