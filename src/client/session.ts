/**
 * One session as its user sees it: everything that happens, in order and once, however often the connection is lost.
 *
 *   for await (const message of session) …      until the session has ended
 *   const end = await session.execute('…')      the event that ended this task
 */
import type { ClientMessageInput, Position } from '../protocol/commands.js'
import type { ServerMessage, TaskCancelled, TaskCompleted, TaskFailed } from '../protocol/events.js'
import type { CommandAccepted, Subscribed } from '../protocol/replies.js'
import type { Session, TimedTaskInput } from '../protocol/session.js'
import { ClientError } from './client-error.js'
import { Continuity, eventIdOf, type Verdict } from './continuity.js'
import { MessageQueue } from './message-queue.js'
import { newId } from './new-id.js'

/** The event that ends a task. */
export type TaskEnd = TaskCompleted | TaskFailed | TaskCancelled

/** Ends of tasks that are remembered for whoever asks late. */
const MAX_ENDS = 256

type TaskObject = Exclude<TimedTaskInput, string>

/** What a handle needs of its client. */
export interface SessionLink {
  command(message: ClientMessageInput): Promise<CommandAccepted>
  status(sessionId: string): Promise<Session>
  /** Asks for everything behind the position; a `subscribed` message comes first. */
  subscribe(sessionId: string, from: Position): void
  leave(sessionId: string): void
}

interface Waiter {
  readonly taskId: string | undefined
  readonly resolve: (end: TaskEnd) => void
  readonly reject: (error: Error) => void
}

export class SessionHandle implements AsyncIterable<ServerMessage> {
  readonly #link: SessionLink
  readonly #continuity: Continuity
  readonly #queue = new MessageQueue()
  readonly #ends = new Map<string, TaskEnd>()
  #waiters: Waiter[] = []
  #firstTask: string | undefined
  /** The server was asked to go on from our position: until it answers, frames are of the old order. */
  #asking = false
  #over: ClientError | undefined

  /** Made by `Client`. `from` is where the story begins for this handle. */
  constructor(
    readonly id: string,
    link: SessionLink,
    from: Position,
  ) {
    this.#link = link
    this.#continuity = new Continuity(from)
  }

  /** What this handle has received: enough to go on exactly from here, with `attach`, in another process. */
  get position(): Position {
    return this.#continuity.position
  }

  /** True when the session has ended, or this handle was closed. */
  get ended(): boolean {
    return this.#over !== undefined
  }

  /** Text received of a message so far. */
  text(messageId: string): string {
    return this.#continuity.text(messageId)
  }

  /**
   * Gives the session a task and waits for its end, which may also be a failure or a cancellation; one that is to run later
   * or after others (`runAt`, `delayMs`, `dependsOn`) too. Rejects with a
   * `ClientError` when the service refuses the task or the session ends before it. Whoever gave the same `commandId`
   * before, and a task id, gives nothing new: the end comes only if it is still to come.
   */
  async execute(
    task: TimedTaskInput,
    context?: Readonly<Record<string, unknown>>,
    commandId = newId('cmd'),
  ): Promise<TaskEnd> {
    const full = withId(task)
    // Watched from the start: the end may arrive together with the acceptance.
    const ended = this.#endOf(full.id)
    try {
      await this.#link.command({
        type: 'execute_task',
        commandId,
        payload: { sessionId: this.id, task: full, ...(context && { context }) },
      })
    } catch (error) {
      ended.abandon()
      throw error
    }
    return ended.promise
  }

  /** The end of the task that the session was spawned with; for an attached session, of the first task that ends. */
  result(): Promise<TaskEnd> {
    return this.#endOf(this.#firstTask).promise
  }

  /** Ends the session for good. */
  async stop(): Promise<void> {
    await this.#link.command({ type: 'stop_session', commandId: newId('cmd'), payload: { sessionId: this.id } })
  }

  /** Ends the session for good, as `failed` for this reason (at most 500 characters). */
  async fail(failure: string): Promise<void> {
    const payload = { sessionId: this.id, failure }
    await this.#link.command({ type: 'stop_session', commandId: newId('cmd'), payload })
  }

  /** Ends the session when everything that it was given before is done: it is then `completed`. */
  async complete(): Promise<void> {
    await this.#link.command({ type: 'complete_session', commandId: newId('cmd'), payload: { sessionId: this.id } })
  }

  /** Cancels a task, or the running one. */
  async cancel(taskId?: string): Promise<void> {
    const payload = { sessionId: this.id, ...(taskId !== undefined && { taskId }) }
    await this.#link.command({ type: 'cancel_task', commandId: newId('cmd'), payload })
  }

  async pause(): Promise<void> {
    await this.#link.command({ type: 'pause_session', commandId: newId('cmd'), payload: { sessionId: this.id } })
  }

  async resume(): Promise<void> {
    await this.#link.command({ type: 'resume_session', commandId: newId('cmd'), payload: { sessionId: this.id } })
  }

  /** Answers an `approval_request` of this session. @throws ClientError `approval_closed` when somebody has */
  async decide(approvalId: string, decision: 'approve' | 'reject', comment?: string): Promise<void> {
    const payload = { sessionId: this.id, approvalId, decision, ...(comment !== undefined && { comment }) }
    await this.#link.command({ type: 'approval_decision', commandId: newId('cmd'), payload })
  }

  /** The session as it stands now. */
  status(): Promise<Session> {
    return this.#link.status(this.id)
  }

  /** Stops listening; the session goes on. */
  close(): void {
    this.#link.leave(this.id)
    this.end(new ClientError('closed', 'the session handle was closed'), false)
  }

  /** Messages since the handle was made, each given to one reader only. Ends with the session. */
  [Symbol.asyncIterator](): AsyncIterator<ServerMessage> {
    return { next: () => this.#queue.next() }
  }

  /** Called by the client with every frame of this session. */
  receive(message: ServerMessage): void {
    if (message.type === 'subscribed') {
      this.#subscribed(message)
      return
    }
    const verdict = this.#asking ? 'known' : this.#judge(message)
    if (verdict === 'gap') this.catchUp()
    if (verdict !== 'next') return
    this.#queue.push(message)
    this.#observe(message)
  }

  /** Called by the client on a new connection, and by ourselves when something is missing. */
  catchUp(): void {
    if (this.ended) return
    this.#asking = true
    this.#link.subscribe(this.id, this.position)
  }

  /** Called by the client when nothing more can come. */
  end(error: ClientError, broken = true): void {
    if (this.#over) return
    this.#over = error
    this.#queue.end(broken ? error : undefined)
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }

  #judge(message: ServerMessage): Verdict {
    if (message.type === 'stream_chunk') return this.#continuity.chunk(message)
    const eventId = eventIdOf(message)
    // Answers to others' questions are no part of the story.
    return eventId === undefined ? 'known' : this.#continuity.event(eventId)
  }

  #subscribed(message: Subscribed): void {
    this.#asking = false
    if (!message.reset) return
    this.#continuity.reset({ eventId: message.eventId })
    this.#queue.push(message)
    if (message.session) this.#checkEnd(message.session)
  }

  #observe(message: ServerMessage): void {
    switch (message.type) {
      case 'session_spawned':
        this.#nameFirstTask(message.session.task?.id)
        return
      case 'stream_end':
        this.#continuity.complete(message.messageId, message.text)
        return
      case 'session_status_update':
        this.#checkEnd(message.session)
        return
      case 'task_completed':
      case 'task_failed':
      case 'task_cancelled':
        this.#taskEnded(message)
    }
  }

  #nameFirstTask(taskId: string | undefined): void {
    this.#firstTask = taskId
    this.#waiters = this.#waiters.map((waiter) => (waiter.taskId === undefined ? { ...waiter, taskId } : waiter))
  }

  #taskEnded(end: TaskEnd): void {
    this.#ends.set(end.taskId, end)
    for (const oldest of this.#ends.size > MAX_ENDS ? this.#ends.keys() : []) {
      this.#ends.delete(oldest)
      break
    }
    const fits = ({ taskId }: Waiter): boolean => taskId === undefined || taskId === end.taskId
    const [met, left] = [this.#waiters.filter(fits), this.#waiters.filter((waiter) => !fits(waiter))]
    this.#waiters = left
    for (const waiter of met) waiter.resolve(end)
  }

  #checkEnd({ status }: Session): void {
    if (status !== 'completed' && status !== 'terminated' && status !== 'failed') return
    this.end(new ClientError('session_ended', `the session has ended (${status})`, { sessionId: this.id }), false)
  }

  #endOf(taskId: string | undefined): { promise: Promise<TaskEnd>; abandon: () => void } {
    const known = taskId === undefined ? [...this.#ends.values()][0] : this.#ends.get(taskId)
    if (known) return { promise: Promise.resolve(known), abandon: () => undefined }
    let abandon = (): void => undefined
    const promise = new Promise<TaskEnd>((resolve, reject) => {
      if (this.#over) {
        reject(this.#over)
        return
      }
      const waiter: Waiter = { taskId, resolve, reject }
      this.#waiters.push(waiter)
      abandon = () => {
        this.#waiters = this.#waiters.filter((it) => it !== waiter)
      }
    })
    // Whoever asked may have been refused meanwhile and looks no longer.
    promise.catch(() => undefined)
    return { promise, abandon: () => abandon() }
  }
}

/** A task whose end can be recognised: the client names it when its user did not. */
function withId(task: TimedTaskInput): TaskObject & { readonly id: string } {
  const object: TaskObject = typeof task === 'string' ? { description: task } : task
  return { ...object, id: object.id ?? newId('task') }
}
