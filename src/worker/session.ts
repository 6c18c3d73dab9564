/**
 * A session in the memory of its owner: works through its inbox one command after the other, obeys control commands at
 * once, and records everything through its one writer.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Claim, LIMITS, type SessionRecord, type SmallState } from '../bus/bus.js'
import type { Command, ControlCommand, ExecuteCommand, SpawnCommand } from '../bus/command.js'
import type { NewEvent } from '../protocol/events.js'
import { parseEventId } from '../protocol/ids.js'
import { isTerminal, type SessionStatus } from '../protocol/session.js'
import { Conversation } from './conversation.js'
import { EventBatch, WriterLost } from './event-batch.js'
import type { SessionServices } from './session-services.js'
import { initialState, nextSessionStatus, stateAfter, stateWithStatus } from './session-state.js'
import type { EventBase } from './step-journal.js'
import { runTask, type Stopping, type Takeover, type TurnHost } from './turn.js'

/** A turn that is told to end has this long: twice what killing a process group takes. */
const TURN_END_MS = 5_000

export interface LiveSessionOptions {
  readonly record: SessionRecord
  readonly claim: Claim
  readonly services: SessionServices
  readonly takeover: Takeover | undefined
  /** True for a session that was spawned a moment ago on this worker: nothing of it is anywhere else. */
  readonly fresh: boolean
  readonly onLost: (error: WriterLost) => void
}

interface TurnInProgress {
  readonly commandId: string
  readonly taskId: string
  readonly controller: AbortController
}

export class LiveSession implements TurnHost {
  readonly id: string
  readonly claim: Claim
  readonly tenant: string
  readonly services: SessionServices
  readonly conversation: Conversation
  readonly batch: EventBatch
  #status: SessionStatus
  #state: SmallState | undefined
  readonly #inbox: (SpawnCommand | ExecuteCommand)[] = []
  /** Ids of the last commands taken here: a command may come with the record and once more from the stream. */
  readonly #known = new Set<string>()
  #turn: TurnInProgress | undefined
  #turnEnded: Promise<void> = Promise.resolve()
  #obeying: Promise<void> = Promise.resolve()
  #working = false
  #stopping = false
  #closed = false
  #takeover: Takeover | undefined
  #historyLoaded: boolean
  /** Monotonic time since which there is nothing to do. */
  idleSince = performance.now()

  constructor(private readonly options: LiveSessionOptions) {
    const { record, claim, services, fresh } = options
    this.id = record.sessionId
    this.tenant = record.tenant
    this.claim = claim
    this.services = services
    this.#status = record.status
    this.#state = record.state === '' ? undefined : (JSON.parse(record.state) as SmallState)
    this.#takeover = options.takeover
    this.#historyLoaded = fresh
    this.part = record.part
    this.conversation = new Conversation(this.#state?.session.type !== 'echo')
    this.batch = new EventBatch({
      log: services.log,
      claim,
      sessionId: this.id,
      headSeq: parseEventId(record.head)?.seq ?? 0,
      part: record.part,
      onWritten: (written) => services.onWritten(claim, this.id, written),
      onLost: (error) => this.#lose(error),
    })
    this.deliverAll(record)
  }

  /** Text that a former owner left of an open message; gone once the turn goes on. */
  part: SessionRecord['part']

  get busy(): boolean {
    return this.#working || this.#inbox.length > 0
  }

  get waiting(): number {
    return this.#inbox.length
  }

  get workspaceIsCurrent(): boolean {
    return this.#historyLoaded
  }

  get state(): SmallState {
    if (!this.#state) throw new Error(`session ${this.id} has not been spawned`)
    return this.#state
  }

  /** Takes an accepted command; one that was taken before changes nothing. */
  deliver(command: Command): void {
    if (this.#known.has(command.id)) return
    this.#remember(command.id)
    if (command.type === 'spawn' || command.type === 'execute') this.#inbox.push(command)
    else this.#obeying = this.#obeying.then(() => this.#obey(command)).catch((error) => this.#fail(error))
    this.work()
  }

  /** Takes what waits in the store, control commands first: a stop must not wait behind the task that it stops. */
  deliverAll(record: SessionRecord): void {
    for (const body of [...record.control, ...record.inbox]) this.deliver(JSON.parse(body) as Command)
  }

  /** Starts on what waits. */
  work(): void {
    this.idleSince = performance.now()
    if (this.#working || this.#closed) return
    this.#working = true
    void this.#workThrough()
  }

  /** Leaves everything as it is recorded and resolves when the running turn has let go. */
  async close(reason: 'closed' | 'draining'): Promise<void> {
    this.#closed = true
    this.#turn?.controller.abort({ kind: reason } satisfies Stopping)
    await Promise.race([this.#turnEnded, sleep(TURN_END_MS, undefined, { ref: false })])
    await this.batch.settled()
    this.batch.close('closed')
  }

  /** Appends events and applies them to what this worker remembers. @throws WriterLost */
  record(events: readonly NewEvent[], more: Partial<Parameters<EventBatch['append']>[0]> = {}): Promise<void> {
    let state = this.state
    for (const event of events) {
      state = stateAfter(state, event)
      this.conversation.apply(event)
    }
    this.#state = state
    return this.batch.append({ ...more, events, status: this.#status, state })
  }

  base(command: Command | undefined): EventBase {
    const timestamp = this.services.now().toISOString()
    return command?.requestId === undefined
      ? { sessionId: this.id, timestamp }
      : { sessionId: this.id, timestamp, requestId: command.requestId }
  }

  /** The takeover to announce, once. */
  takeTakeover(): Takeover | undefined {
    const takeover = this.#takeover
    this.#takeover = undefined
    return takeover
  }

  /** Reads the log back, before the first turn of a session that was not spawned here. */
  async loadHistory(): Promise<void> {
    if (this.#historyLoaded) return
    for (const event of await this.services.readHistory(this.id)) this.conversation.apply(event)
    this.#historyLoaded = true
  }

  #remember(commandId: string): void {
    this.#known.add(commandId)
    if (this.#known.size <= LIMITS.seenCommands + LIMITS.inboxCommands) return
    for (const oldest of this.#known) {
      this.#known.delete(oldest)
      return
    }
  }

  async #workThrough(): Promise<void> {
    try {
      for (;;) {
        // Control commands that came first, or with the record, are obeyed before the next task begins.
        await this.#obeying
        const command = this.#inbox[0]
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
    return !this.#closed && !this.#stopping && this.#status !== 'paused' && !isTerminal(this.#status)
  }

  async #carryOut(command: SpawnCommand | ExecuteCommand): Promise<void> {
    if (command.type === 'spawn') this.#spawn(command)
    if (this.state.cancelled.includes(command.id)) return await this.#passOver(command)
    const controller = new AbortController()
    this.#turn = { commandId: command.id, taskId: command.task.id, controller }
    try {
      await runTask(this, command, controller.signal)
    } finally {
      this.#turn = undefined
    }
  }

  #spawn(command: SpawnCommand): void {
    const status = nextSessionStatus(this.#status, 'spawn')
    // Spawned by a former owner already: only its task was left.
    if (status === undefined) return
    this.#status = status
    this.#state = initialState(this.id, command)
    const { session } = this.#state
    const metadata = { createdAt: command.createdAt }
    // Goes out together with what follows; losing the writer is seen there.
    this.record([{ type: 'session_spawned', ...this.base(command), status: 'active', metadata, session }]).catch(
      () => undefined,
    )
  }

  async #passOver(command: Command): Promise<void> {
    this.#state = { ...this.state, cancelled: this.state.cancelled.filter((id) => id !== command.id) }
    await this.record([], { popInbox: 1, ended: [command.id] })
  }

  async #obey(command: ControlCommand): Promise<void> {
    if (this.#closed || isTerminal(this.#status)) return
    const [first] = this.#inbox
    if (first?.type === 'spawn') this.#spawn(first)
    if (command.type === 'stop') return await this.#stop(command)
    if (command.type === 'cancel') return await this.#cancel(command)
    const status = nextSessionStatus(this.#status, command.type)
    if (status !== undefined) this.#setStatus(status)
    await this.#recordStatus(command)
    if (command.type === 'resume') this.work()
  }

  /** Ends the session: the running task is cancelled, then all that wait, then the session. */
  async #stop(command: ControlCommand): Promise<void> {
    this.#stopping = true
    await this.#endTurn({ kind: 'stopped' })
    if (this.#closed) return
    const status = nextSessionStatus(this.#status, 'stop')
    if (status !== undefined) this.#setStatus(status)
    const waiting = this.#inbox.splice(0)
    const cancelled = waiting.map((it) => this.#taskCancelled(it, 'the session was stopped'))
    const ended = [...waiting.map((it) => it.id), command.id]
    await this.#recordStatus(command, cancelled, { popInbox: waiting.length, ended })
  }

  /** @throws when the runtime does not let go: the session is then loaded anew, without the turn. */
  async #endTurn(stopping: Stopping): Promise<void> {
    this.#turn?.controller.abort(stopping)
    const late = sleep(TURN_END_MS, 'late', { ref: false })
    if ((await Promise.race([this.#turnEnded, late])) === 'late') throw new Error('a turn did not end when it was told')
  }

  async #cancel(command: ControlCommand): Promise<void> {
    const turn = this.#turn
    if (turn && (command.taskId === undefined || command.taskId === turn.taskId)) {
      await this.#endTurn({ kind: 'cancelled' })
      if (!this.#closed) await this.#recordStatus(command)
      return
    }
    const waiting = this.#inbox.find((it) => it.task.id === command.taskId && !this.state.cancelled.includes(it.id))
    if (!waiting) return await this.#recordStatus(command)
    this.#state = { ...this.state, cancelled: [...this.state.cancelled, waiting.id] }
    await this.#recordStatus(command, [this.#taskCancelled(waiting, 'cancelled before it began')])
  }

  #taskCancelled(command: SpawnCommand | ExecuteCommand, reason: string): NewEvent {
    const usage = { promptTokens: 0, completionTokens: 0, cost: 0, duration: 0 }
    return { type: 'task_cancelled', ...this.base(command), taskId: command.task.id, reason, usage }
  }

  #setStatus(status: SessionStatus): void {
    this.#status = status
    const endedAt = isTerminal(status) ? this.services.now().toISOString() : undefined
    this.#state = stateWithStatus(this.state, status, endedAt)
  }

  async #recordStatus(
    command: ControlCommand,
    before: readonly NewEvent[] = [],
    more: { readonly popInbox?: number; readonly ended?: readonly string[] } = {},
  ): Promise<void> {
    const update: NewEvent = { type: 'session_status_update', ...this.base(command), session: this.state.session }
    await this.record([...before, update], { popControl: 1, ended: [command.id], ...more })
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
    this.batch.close(error instanceof WriterLost ? error.reason : 'closed')
  }
}
