/**
 * A worker for tests of the edge: accepts what comes and plays fixed scripts, over the real bus.
 */
import type { AcceptedCommand, Bus, Change, Claim, CommandBell, SmallState } from '../../../src/bus/bus.js'
import type { Command, ExecuteCommand, SpawnCommand } from '../../../src/bus/command.js'
import type { DormantSession, Whereabouts } from '../../../src/bus/dormant.js'
import type { LoggedEvent } from '../../../src/protocol/events.js'
import { newMessageId, newNodeId, parseEventId, type SessionId, shardOfSession } from '../../../src/protocol/ids.js'
import type { Session, SessionStatus, TaskUsage } from '../../../src/protocol/session.js'

const USAGE: TaskUsage = { promptTokens: 1, completionTokens: 2, cost: 0, duration: 3 }

/** An event without what the log adds. */
export type ScriptEvent = { readonly type: LoggedEvent['type'] } & Readonly<Record<string, unknown>>

interface Held {
  session: Session
  readonly owner?: string
  turn: number
}

export class ScriptedWorker {
  /** Ids of commands in the order of their acceptance. */
  readonly accepted: string[] = []
  /** The same commands, as they came. */
  readonly commands: Command[] = []
  /** While true, commands stay in the stream. */
  paused = false
  readonly #bus: Bus
  readonly #claims = new Map<number, Claim>()
  readonly #held = new Map<SessionId, Held>()
  readonly #dormant = new Map<SessionId, DormantSession>()
  #bell: CommandBell | undefined
  /** One shard after the other, so that the order of acceptance is the order in `accepted`. */
  #working: Promise<void> = Promise.resolve()
  #commits = 0
  #isAtWork = false

  constructor(bus: Bus) {
    this.#bus = bus
  }

  async start(shardCount: number): Promise<void> {
    const owner = newNodeId('worker')
    const bell = this.#bus.commands.openBell(
      owner,
      (shard) => {
        this.#working = this.#working.then(() => this.#acceptAll(shard))
      },
      () => undefined,
    )
    this.#bell = bell
    for (let shard = 0; shard < shardCount; shard++) {
      const claim = { shard, owner, epoch: 1 }
      const claimed = await this.#bus.log.claim(claim)
      if (claimed.status !== 'ok') throw new Error(`claim: ${claimed.status}`)
      this.#claims.set(shard, claim)
      bell.add(shard)
    }
  }

  async stop(): Promise<void> {
    this.paused = false
    await this.#bell?.stop()
    await this.#working
  }

  /** From now on commands stay in the stream. Resolves when none is in the middle of its work. */
  async pause(): Promise<void> {
    this.paused = true
    while (this.#isAtWork) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  async #acceptAll(shard: number): Promise<void> {
    while (this.paused) await new Promise((resolve) => setTimeout(resolve, 5))
    this.#isAtWork = true
    const result = await this.#bus.commands.accept(this.#claimOf(shard))
    if (result.status !== 'ok') throw new Error(`accept: ${result.status}`)
    for (const it of result.commands) await this.#carryOut(it)
    this.#isAtWork = false
    if (result.more) await this.#acceptAll(shard)
  }

  async #carryOut({ submission, acceptance }: AcceptedCommand): Promise<void> {
    if (acceptance.status === 'cold') return this.#hydrate(submission.sessionId)
    if (acceptance.status !== 'new') return
    this.accepted.push(acceptance.commandId)
    const command = JSON.parse(submission.body) as Command
    this.commands.push(command)
    await this.#play(submission.sessionId, submission.tenant, command)
  }

  /** A session that has not hibernated here is taken for one whose spawn was lost. */
  async #hydrate(sessionId: SessionId): Promise<void> {
    const session = this.#dormant.get(sessionId)
    const claim = this.#claimOf(shardOfSession(sessionId) ?? 0)
    const found: Whereabouts = session ? { kind: 'hibernated', session } : { kind: 'unborn' }
    const hydrated = await this.#bus.commands.hydrate(claim, sessionId, found)
    if (hydrated.status !== 'ok') throw new Error(`hydrate: ${hydrated.status}`)
    for (const it of hydrated.commands) await this.#carryOut(it)
  }

  /** Lets a session leave the bus, if it may. Its events must have been trimmed before. */
  async hibernate(sessionId: SessionId): Promise<string> {
    const claim = this.#claimOf(shardOfSession(sessionId) ?? 0)
    const rest = await this.#bus.log.rest(claim, sessionId)
    if (rest.status !== 'idle') return rest.status
    this.#dormant.set(sessionId, rest.session)
    return (await this.#bus.log.hibernate(claim, rest.session)).status
  }

  /** Appends events behind the head of a session, as one commit. */
  async append(sessionId: SessionId, events: readonly ScriptEvent[], more: Partial<Change> = {}): Promise<void> {
    const seq = await this.#seq(sessionId)
    const { epoch } = this.#claimOf(shardOfSession(sessionId) ?? 0)
    this.#commits += 1
    const change: Change = {
      sessionId,
      commitId: `commit-${this.#commits}`,
      expectedSeq: seq,
      events: events.map((event, index) =>
        JSON.stringify({
          ...event,
          eventId: `${epoch}-${seq + 1 + index}`,
          sessionId,
          timestamp: '2026-01-01T00:00:00.000Z',
        }),
      ),
      status: this.#held.get(sessionId)?.session.status ?? 'active',
      state: this.#stateOf(sessionId),
      popInbox: 0,
      popControl: 0,
      ended: [],
      clearPart: false,
      ...more,
    }
    const committed = await this.#bus.log.commit(this.#claimOf(shardOfSession(sessionId) ?? 0), change)
    if (committed.status !== 'ok') throw new Error(`commit: ${committed.status}`)
  }

  /** Streams a piece of text of the message that is open now. */
  async flush(sessionId: SessionId, messageId: string, offset: number, text: string): Promise<void> {
    const headSeq = await this.#seq(sessionId)
    const data = { sessionId, chunk: text, messageId, offset, metadata: { tokens: 1 } }
    const json = JSON.stringify({ type: 'stream_chunk', data })
    const claim = this.#claimOf(shardOfSession(sessionId) ?? 0)
    const flushed = await this.#bus.log.flush(claim, { sessionId, messageId, offset, text, headSeq, json })
    if (flushed.status !== 'ok') throw new Error(`flush: ${flushed.status}`)
  }

  /** Tells the log that Postgres has everything, and drops all but the last `keep` events. */
  async trim(sessionId: SessionId, keep: number): Promise<void> {
    const seq = await this.#seq(sessionId)
    await this.#bus.log.trim(this.#claimOf(shardOfSession(sessionId) ?? 0), [{ sessionId, seq, keep }])
  }

  async #play(sessionId: SessionId, tenant: string, command: Command): Promise<void> {
    switch (command.type) {
      case 'spawn':
        return this.#spawn(sessionId, tenant, command)
      case 'execute':
        return this.#execute(sessionId, command)
      case 'stop':
        return this.#setStatus(sessionId, 'terminated', command)
      case 'pause':
        return this.#setStatus(sessionId, 'paused', command)
      case 'resume':
        return this.#setStatus(sessionId, 'active', command)
      case 'cancel':
        return this.append(sessionId, [], { popControl: 1 })
    }
  }

  async #spawn(sessionId: SessionId, _tenant: string, command: SpawnCommand): Promise<void> {
    const session: Session = {
      id: sessionId,
      orchestratorId: command.orchestratorId,
      task: command.task,
      type: command.sessionType,
      status: 'active',
      startedAt: command.createdAt,
      memoryContext: { scratchpad: {}, episodic: [], semantic: [] },
      metrics: { tokensUsed: 0, duration: 0, tasksCompleted: 0, errorsEncountered: 0, averageResponseTime: 0 },
      cost: 0,
    }
    this.#held.set(sessionId, { session, turn: 0, ...(command.owner !== undefined && { owner: command.owner }) })
    const metadata = { createdAt: command.createdAt }
    const spawned = {
      type: 'session_spawned',
      status: 'active',
      metadata,
      session,
      requestId: command.requestId,
    } as const
    await this.append(sessionId, [spawned], { popInbox: 1, ended: [{ commandId: command.id, eventId: '1-1' }] })
  }

  /** `stream <text>` streams that text word by word, `fail <reason>` fails; anything else is answered with itself. */
  async #execute(sessionId: SessionId, command: ExecuteCommand): Promise<void> {
    const { task, id, requestId } = command
    const about = { taskId: task.id, ...(requestId !== undefined && { requestId }) }
    await this.append(sessionId, [{ type: 'task_executing', ...about, task, turn: 1 }])
    const [verb, ...words] = task.description.split(' ')
    if (verb === 'stream') await this.stream(sessionId, words.join(' '))
    const end: ScriptEvent =
      verb === 'fail'
        ? { type: 'task_failed', ...about, error: words.join(' '), code: 'internal', usage: USAGE }
        : { type: 'task_completed', ...about, result: { success: true, output: task.description }, usage: USAGE }
    const eventId = `1-${(await this.#seq(sessionId)) + 1}`
    await this.append(sessionId, [end], { popInbox: 1, ended: [{ commandId: id, eventId }] })
  }

  /** A whole message, one chunk for each word. */
  async stream(sessionId: SessionId, text: string): Promise<void> {
    const messageId = newMessageId()
    await this.append(sessionId, [{ type: 'stream_start', messageId, metadata: { model: 'scripted' } }])
    let offset = 0
    for (const word of text.match(/\S+\s*/g) ?? []) {
      await this.flush(sessionId, messageId, offset, word)
      offset += Buffer.byteLength(word)
    }
    await this.append(sessionId, [streamEnd(messageId, text)], { clearPart: true })
  }

  async #setStatus(sessionId: SessionId, status: SessionStatus, command: Command): Promise<void> {
    const held = this.#held.get(sessionId)
    if (!held) throw new Error(`no session ${sessionId}`)
    held.session = { ...held.session, status }
    const event: ScriptEvent = { type: 'session_status_update', session: held.session, requestId: command.requestId }
    await this.append(sessionId, [event], { popControl: 1 })
  }

  #stateOf(sessionId: SessionId): string | undefined {
    const held = this.#held.get(sessionId)
    const state: SmallState | undefined = held && { ...held, cancelled: [] }
    return state && JSON.stringify(state)
  }

  async #seq(sessionId: SessionId): Promise<number> {
    return parseEventId((await this.#bus.log.peek(sessionId))?.head ?? '')?.seq ?? 0
  }

  #claimOf(shard: number): Claim {
    const claim = this.#claims.get(shard)
    if (!claim) throw new Error(`shard ${shard} is not claimed`)
    return claim
  }
}

export function streamEnd(messageId: string, text: string): ScriptEvent {
  const metadata = { totalTokens: 3, duration: 4, promptTokens: 1, completionTokens: 2, cost: 0 }
  return { type: 'stream_end', messageId, text, toolCalls: [], finishReason: 'stop', metadata }
}
