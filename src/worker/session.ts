/**
 * A session in the memory of its owner: works through its inbox one command after the other, obeys control commands at
 * once, and records everything through its one writer.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Claim, LIMITS, type SessionRecord } from '../bus/bus.js'
import type { Command, CompleteCommand, ControlCommand, TaskCommand, UnbegunEnd } from '../bus/command.js'
import type { NewEvent } from '../protocol/events.js'
import { isTerminal } from '../protocol/session.js'
import type { Stopping } from '../runtimes/runtime.js'
import type { SessionServices } from './session-services.js'
import { type Along, SessionWriter, type SessionWriterOptions } from './session-writer.js'
import { runTask } from './turn.js'
import type { Takeover, TurnHost } from './turn-host.js'
import { WriterLost } from './writer-lost.js'

/** A turn that is told to end has this long: twice what killing a process group takes. */
const TURN_END_MS = 5_000
/** Ids of commands that are remembered: all that may wait, and those that the store would know as repeated. */
const KNOWN_COMMANDS = LIMITS.inboxCommands + LIMITS.seenCommands

export interface LiveSessionOptions extends SessionWriterOptions {
  /** Who had the session before, when a turn may have been left unfinished. */
  readonly takeover: Takeover | undefined
}

type Queued = TaskCommand | CompleteCommand

export class LiveSession implements TurnHost {
  readonly id: string
  readonly claim: Claim
  readonly tenant: string
  readonly services: SessionServices
  readonly writer: SessionWriter
  readonly #inbox: Queued[] = []
  /** A command may come with the record and once more from the stream. */
  readonly #known = new Set<string>()
  #turn: { readonly taskId: string; readonly controller: AbortController } | undefined
  #turnEnded: Promise<void> = Promise.resolve()
  #obeying: Promise<void> = Promise.resolve()
  #working = false
  #stopping = false
  #isPaused = false
  #retiring = false
  #closed = false
  #takeover: Takeover | undefined
  /** Monotonic time since which there is nothing to do. */
  idleSince = performance.now()

  constructor(private readonly options: LiveSessionOptions) {
    const { record, claim, services, takeover } = options
    this.id = record.sessionId
    this.tenant = record.tenant
    this.claim = claim
    this.services = services
    this.#takeover = takeover
    this.writer = new SessionWriter({ ...options, onLost: (error) => this.#lose(error) })
    this.deliverAll(record)
    for (const id of record.ended ?? []) this.#remember(id)
  }

  get busy(): boolean {
    return this.#working || this.#inbox.length > 0
  }

  /** Whether a task is worked on, or waits for a slot to be. */
  get inTurn(): boolean {
    return this.#turn !== undefined
  }

  get waiting(): number {
    return this.#inbox.length
  }

  /** Takes an accepted command; one that was taken before changes nothing. */
  deliver(command: Command): void {
    if (this.#known.has(command.id)) return
    this.#remember(command.id)
    if (isQueued(command)) this.#enqueue(command)
    else this.#obeying = this.#obeying.then(() => this.#obey(command)).catch((error) => this.#fail(error))
    this.#work()
  }

  /** Takes what waits in the store, control commands first: a stop must not wait behind the task that it stops. */
  deliverAll(record: SessionRecord): void {
    for (const body of [...record.control, ...record.inbox]) this.deliver(JSON.parse(body) as Command)
  }

  /** Leaves everything as it is recorded and resolves when the running turn has let go. */
  async close(reason: 'closed' | 'draining'): Promise<void> {
    this.#closed = true
    this.#turn?.controller.abort({ kind: reason } satisfies Stopping)
    await Promise.race([this.#turnEnded, sleep(TURN_END_MS, undefined, { ref: false })])
    await this.writer.batch.settled()
    this.writer.batch.close('closed')
  }

  /** Completes the session unless it has work; false when it has. @throws WriterLost */
  async complete(): Promise<boolean> {
    const completed = this.#obeying.then(() => this.#complete())
    this.#obeying = completed.then(
      () => undefined,
      (error) => this.#fail(error),
    )
    return await completed
  }

  /** There is no next task here: the session has ended, or another worker has it. */
  forget(): void {
    const type = this.writer.session?.type
    if (type === undefined) return
    try {
      this.services.runtimeOf(type).forget?.(this.id)
    } catch {
      // `runtime_missing`: then it kept nothing either.
    }
  }

  /** Begins no other turn; resolves when the running one has ended and nothing is written here any more. */
  async finishTurn(): Promise<void> {
    this.#retiring = true
    this.#leaveWhileWaiting()
    await this.#turnEnded
    await this.#obeying
    await this.close('closed')
    this.forget()
  }

  /** The takeover to announce, once. */
  takeTakeover(): Takeover | undefined {
    const takeover = this.#takeover
    this.#takeover = undefined
    return takeover
  }

  /** A turn in which a person is waited for, and nothing runs, moves at once: the next owner waits on. */
  pausedForApproval(): void {
    this.#isPaused = true
    if (this.#retiring) this.#leaveWhileWaiting()
  }

  resumedAfterApproval(): void {
    this.#isPaused = false
  }

  #leaveWhileWaiting(): void {
    const calls = [...(this.writer.conversation.open?.openCalls.values() ?? [])]
    if (this.#isPaused && !calls.some(({ started }) => started)) void this.close('draining')
  }

  #enqueue(command: Queued): void {
    this.#inbox.push(command)
    this.writer.meter.queued()
  }

  #remember(commandId: string): void {
    this.#known.add(commandId)
    if (this.#known.size <= KNOWN_COMMANDS) return
    for (const oldest of this.#known) {
      this.#known.delete(oldest)
      return
    }
  }

  #work(): void {
    this.idleSince = performance.now()
    if (this.#working || this.#closed) return
    this.#working = true
    void this.#workThrough()
  }

  async #workThrough(): Promise<void> {
    try {
      for (;;) {
        // Control commands that came first, or with the record, are obeyed before the next task begins.
        await this.#obeying
        const command = this.#inbox[0]
        if (command && this.#hasEnded()) await this.#cancelWaiting()
        if (!command || !this.#mayBegin()) break
        const done = this.#carryOut(command).then(() => {
          this.#inbox.shift()
        })
        this.#turnEnded = done.catch(() => undefined)
        await done
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#working = false
      this.idleSince = performance.now()
    }
  }

  #mayBegin(): boolean {
    const { status } = this.writer
    return !this.#closed && !this.#stopping && !this.#retiring && status !== 'paused' && !isTerminal(status)
  }

  #hasEnded(): boolean {
    return !this.#closed && isTerminal(this.writer.status)
  }

  /** Tasks that were accepted just before the session ended must not wait for ever. */
  async #cancelWaiting(): Promise<void> {
    const waiting = this.#inbox.splice(0)
    const cancelled = waiting.filter(isTask).map((it) => this.#taskCancelled(it, 'the session has ended'))
    await this.writer.record(cancelled, { popInbox: waiting.length, ended: waiting.map((it) => it.id) })
  }

  async #carryOut(command: Queued): Promise<void> {
    if (command.type === 'complete') {
      this.writer.trigger('complete')
      return await this.#recordStatus(command, [], { popControl: 0, popInbox: 1 })
    }
    if (command.type === 'spawn') this.writer.spawn(command)
    if (this.writer.state.cancelled.includes(command.id)) {
      this.writer.setCancelled(command.id, false)
      return await this.writer.record([], { popInbox: 1, ended: [command.id] })
    }
    if (command.type === 'execute' && command.ended) {
      return await this.writer.record([this.#taskEnded(command, command.ended)], { popInbox: 1, ended: [command.id] })
    }
    const controller = new AbortController()
    this.#turn = { taskId: command.task.id, controller }
    try {
      await runTask(this, command, controller.signal)
    } finally {
      this.#turn = undefined
    }
  }

  async #obey(command: ControlCommand): Promise<void> {
    if (this.#closed) return
    // Nothing is left to do, and the command must not wait for ever.
    if (isTerminal(this.writer.status)) return await this.writer.record([], { popControl: 1, ended: [command.id] })
    const [first] = this.#inbox
    if (first?.type === 'spawn') this.writer.spawn(first)
    if (command.type === 'stop') return await this.#stop(command)
    if (command.type === 'cancel') return await this.#cancel(command)
    if (command.type === 'approval') return await this.#approval(command)
    this.writer.trigger(command.type)
    await this.#recordStatus(command)
    if (command.type === 'resume') this.#work()
  }

  /** The turn that waits sees the answer in Postgres, and records it. */
  async #approval(command: ControlCommand): Promise<void> {
    if (command.approvalId !== undefined) await this.services.approvals.look([command.approvalId])
    await this.#recordStatus(command)
  }

  async #complete(): Promise<boolean> {
    if (this.#closed) throw new WriterLost('closed')
    if (isTerminal(this.writer.status)) return true
    if (this.busy || this.writer.session === undefined) return false
    this.writer.trigger('complete')
    const { session } = this.writer.state
    await this.writer.record([{ type: 'session_status_update', ...this.writer.base(undefined), session }])
    this.forget()
    return true
  }

  /** Ends the session: the running task is cancelled, then all that wait, then the session. */
  async #stop(command: ControlCommand): Promise<void> {
    this.#stopping = true
    await this.#endTurn({ kind: 'stopped' })
    if (this.#closed) return
    if (command.failure === undefined) this.writer.trigger('stop')
    else this.writer.trigger('fail', command.failure)
    const waiting = this.#inbox.splice(0)
    const cancelled = waiting.filter(isTask).map((it) => this.#taskCancelled(it, 'the session was stopped'))
    const ended = [...waiting.map((it) => it.id), command.id]
    await this.#recordStatus(command, cancelled, { popInbox: waiting.length, ended })
    this.forget()
  }

  async #cancel(command: ControlCommand): Promise<void> {
    const { taskId } = command
    if (this.#turn && (taskId === undefined || taskId === this.#turn.taskId)) {
      await this.#endTurn({ kind: 'cancelled' })
      if (!this.#closed) await this.#recordStatus(command)
      return
    }
    const { cancelled } = this.writer.state
    const waiting = this.#inbox.filter(isTask).find((it) => it.task.id === taskId && !cancelled.includes(it.id))
    if (!waiting) return await this.#recordStatus(command)
    this.writer.setCancelled(waiting.id, true)
    await this.#recordStatus(command, [this.#taskCancelled(waiting, 'cancelled before it began')])
  }

  /** @throws when the runtime does not let go: the session is then loaded anew, without the turn. */
  async #endTurn(stopping: Stopping): Promise<void> {
    this.#turn?.controller.abort(stopping)
    const late = sleep(TURN_END_MS, 'late', { ref: false })
    if ((await Promise.race([this.#turnEnded, late])) === 'late') throw new Error('a turn did not end when it was told')
  }

  #taskCancelled(command: TaskCommand, reason: string): NewEvent {
    return this.#taskEnded(command, { status: 'cancelled', reason })
  }

  /** The end of a task that never began. */
  #taskEnded(command: TaskCommand, { status, ...how }: UnbegunEnd): NewEvent {
    const usage = { promptTokens: 0, completionTokens: 0, cost: 0, duration: 0 }
    const base = { ...this.writer.base(command), commandId: command.id, taskId: command.task.id }
    return { type: `task_${status}`, ...base, ...how, usage } as NewEvent
  }

  async #recordStatus(
    command: ControlCommand | CompleteCommand,
    before: readonly NewEvent[] = [],
    along: Along = {},
  ): Promise<void> {
    const { session } = this.writer.state
    const base = { ...this.writer.base(command), commandId: command.id }
    const update: NewEvent = { type: 'session_status_update', ...base, session }
    await this.writer.record([...before, update], { popControl: 1, ended: [command.id], ...along })
  }

  #lose(error: WriterLost): void {
    if (this.#closed) return
    this.#closed = true
    this.#turn?.controller.abort({ kind: 'lost' } satisfies Stopping)
    this.options.onLost(error)
  }

  #fail(error: unknown): void {
    if (this.#closed) return
    // Anything else is a bug of ours: the session is loaded anew from its log, as after a crash.
    if (!(error instanceof WriterLost)) {
      this.services.logger.error({ err: error, sessionId: this.id }, 'a session failed')
    }
    this.writer.batch.close(error instanceof WriterLost ? error.reason : 'closed')
  }
}

const isTask = (command: Command): command is TaskCommand => command.type === 'spawn' || command.type === 'execute'

const isQueued = (command: Command): command is Queued => isTask(command) || command.type === 'complete'
