/**
 * Brings tasks of Neolith to sessions, and their stories back: as a client of the node's own door, in the tenant that tokens
 * of the same orchestrator have, so that whoever comes with one sees these sessions too.
 */
import { type Client, ClientError, connect, FROM_START, type SessionHandle } from '../client/client.js'
import type { Principal } from '../edge/auth.js'
import type { Answered } from '../neolith/answer-words.js'
import { CANCELLED, DONE } from '../neolith/narrator.js'
import {
  type SessionAnswer,
  type SessionDoor,
  type Story,
  StoryBroken,
  type TaskOutcome,
  TaskRefused,
  taskIdOf,
} from '../neolith/session-door.js'
import type { Position } from '../protocol/commands.js'
import type { ServerMessage } from '../protocol/events.js'
import type { SessionType, TaskInput } from '../protocol/session.js'
import type { NeolithTaskRow } from '../storage/neolith-tasks.js'
import type { TaskEnds } from '../storage/task-ends.js'
import { type Entrance, type Inside, inProcessSocket } from './in-process-socket.js'

/** Never resolved: the socket is in this process. */
const IN_PROCESS = 'ws://in-process'
/** The story can be gone on with after these. */
const BROKEN = ['slow_consumer', 'timeout', 'connection_failed', 'closed', 'shutting_down', 'unavailable', 'busy']

export interface NeolithSessionsDependencies<I extends Inside> {
  /** The door of this node. */
  readonly entrance: () => Entrance<I>
  readonly ends: Pick<TaskEnds, 'find'>
  /** Undefined: as for any client that names none. */
  readonly sessionType: SessionType | undefined
}

export class NeolithSessions<I extends Inside> implements SessionDoor {
  readonly #deps: NeolithSessionsDependencies<I>

  constructor(deps: NeolithSessionsDependencies<I>) {
    this.#deps = deps
  }

  async open(row: NeolithTaskRow, from: Position | null): Promise<Story> {
    const client = await this.#connect(row)
    try {
      return new ClientStory(client, await this.#handle(client, row, from))
    } catch (error) {
      client.close()
      throw refusalOf(error)
    }
  }

  async answer(row: NeolithTaskRow, answer: SessionAnswer): Promise<Answered> {
    const client = await this.#connect(row)
    try {
      return row.sessionId === null ? { kind: 'nothing' } : await answered(client, row.sessionId, answer)
    } catch (error) {
      const refusal = refusalOf(error)
      // The same message is repeated: what it has done already is found.
      throw refusal instanceof StoryBroken ? new TaskRefused(refusal.message, true) : refusal
    } finally {
      client.close()
    }
  }

  /** A connection of its own: the handles of one client share what they hear, and tasks must not. */
  #connect({ orchestrator }: NeolithTaskRow): Promise<Client> {
    // Unlimited: how many tasks are seen to at one time is bounded already, and people with a token of the same orchestrator
    // must not find their allowance used up.
    const who = { tenant: orchestrator, subject: orchestrator, role: 'user', unlimited: true } as const
    const principal: Principal = { ...who, expiresAt: undefined }
    return connect({ url: IN_PROCESS, webSocket: inProcessSocket(this.#deps.entrance(), principal) })
  }

  async end(sessionId: string, taskId: string): Promise<TaskOutcome | undefined> {
    const end = await this.#deps.ends.find(sessionId, taskId)
    if (!end || end.type === 'task_cancelled') return end && CANCELLED
    if (end.type === 'task_failed') return { kind: 'failed', words: end.error }
    return { kind: 'result', words: end.result.output || DONE }
  }

  async #handle(client: Client, row: NeolithTaskRow, from: Position | null): Promise<SessionHandle> {
    if (row.sessionId !== null) return client.attach(row.sessionId, from ?? FROM_START)
    const { sessionType } = this.#deps
    const task = taskOf(row)
    const request = { orchestratorId: row.orchestrator, idempotencyKey: taskIdOf(row), task }
    return client.spawn({ ...request, ...(sessionType && { sessionType }) })
  }
}

/** Approvals of a session that are looked through, the newest: one that a message has answered is among them. */
const LOOKED_THROUGH = 50

/** The one call that waits is answered; of none or several nothing is guessed. */
async function answered(client: Client, sessionId: string, answer: SessionAnswer): Promise<Answered> {
  const { decision, messageId } = answer
  const comment = `${answer.comment} (message ${messageId})`
  const { approvals } = await client.approvals({ sessionId, state: 'all', limit: LOOKED_THROUGH })
  const before = approvals.find((each) => each.comment === comment)
  if (before) return { kind: 'done', tool: before.toolName }
  const [waiting, another] = approvals.filter(({ state }) => state === 'pending')
  if (!waiting) return { kind: 'nothing' }
  if (another) return { kind: 'several' }
  const { toolName: tool } = waiting
  try {
    await client.decide(waiting, decision, comment)
    return { kind: 'done', tool }
  } catch (error) {
    const code = error instanceof ClientError ? error.code : undefined
    if (code === 'forbidden') return { kind: 'escalated', tool }
    if (code === 'approval_closed' || code === 'approval_not_found') return { kind: 'closed', tool }
    throw error
  }
}

function taskOf(row: NeolithTaskRow): Exclude<TaskInput, string> {
  const { channelId, messageId, author, content } = row
  const metadata = { neolith: { channelId, messageId, author } }
  return { id: taskIdOf(row), type: 'general', description: content, priority: 'medium', metadata }
}

class ClientStory implements Story {
  constructor(
    private readonly client: Client,
    private readonly handle: SessionHandle,
  ) {}

  get sessionId(): string {
    return this.handle.id
  }

  async *[Symbol.asyncIterator](): AsyncIterator<ServerMessage> {
    try {
      yield* this.handle
    } catch (error) {
      throw refusalOf(error)
    }
  }

  close(): void {
    this.client.close()
  }
}

/** In the words of whoever asked. What may have been taken is asked for again, under the same id. */
function refusalOf(error: unknown): unknown {
  if (!(error instanceof ClientError)) return error
  const { code, message, details } = error
  if (BROKEN.includes(code) || details.mayBeTaken) return new StoryBroken(message, { cause: error })
  return new TaskRefused(message, details.retryable === true)
}
