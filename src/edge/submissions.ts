/**
 * Commands on their way to a worker. Each is sent again, with the same id, until a worker has accepted it; so a lost reply
 * or a lost worker costs time, and never takes effect twice. One that its stream has is sent again seldom: it waits for
 * its turn, and to send it twice would make a busy cluster busier. An accepted command is kept a little longer, because a store
 * that fails over may forget its last moments: after that it is sent again too, and a worker that has it says so.
 *
 *   submit ──▶ waiting ──acceptance──▶ recent ──the store has kept it for 5 s──▶ forgotten
 *                 └──30 s without one──▶ `outcome_unknown` (70 s while its session is fetched from Postgres)
 */
import { type Acceptance, type CommandStream, LIMITS } from '../bus/bus.js'
import type { Outbox, SubmissionRequest } from '../bus/command.js'
import { errorReply } from '../protocol/codec.js'
import type { RequestId } from '../protocol/commands.js'
import { ServiceError } from '../protocol/errors.js'
import type { ChannelMeter, EdgeMetrics } from '../telemetry/metrics.js'
import { SeldomLog } from '../telemetry/seldom-log.js'
import type { Span, Tracing } from '../telemetry/tracing.js'
import { acceptedFrame, refusal } from './acceptance-reply.js'
import { acceptedAs, submittedSpan } from './command-trace.js'
import type { EdgeLog } from './dependencies.js'
import { RecentCommands } from './recent-commands.js'

/** Where the store has not said that the command's stream has it. */
const RESEND_AFTER_MS = 2_000
/** Where it has: only what nobody foresees can still lose it. Twice before the client is told that the outcome is unknown. */
const RESEND_TAKEN_AFTER_MS = 10_000
const GIVE_UP_AFTER_MS = 30_000
/** When its session has to be fetched from Postgres: the owner waits for that up to 60 s and then says so. */
const GIVE_UP_COLD_AFTER_MS = 70_000
const SWEEP_MS = 250
/** Unanswered commands of one connection; a client that pipelines more is told to wait. */
const MAX_PER_CLIENT = 1_024
/** Connections that may wait for one command id: the one that lost its reply, and the ones it came back with. */
const MAX_ASKERS = 8
const MS_PER_SECOND = 1_000

/** Who sent a command and what to tell it. */
export interface Asker {
  readonly client: CommandClient
  readonly requestId: RequestId | undefined
  /** The client's own id, if it gave one: only then it hears `command_accepted`. */
  readonly commandId: string | undefined
  /** Where in a trace it is sent from. */
  readonly traceparent?: string | undefined
}

/** A connection as the sender of commands. */
export interface CommandClient {
  push(frame: string): void
  /** Its commands that have no answer yet. */
  pendingCommands: number
  /** Where its answers are counted; undefined: nowhere. */
  readonly meter?: Pick<ChannelMeter, 'answered'> | undefined
}

interface Waiting {
  readonly submission: SubmissionRequest
  readonly askers: Asker[]
  readonly span: Span | undefined
  readonly since: number
  sentAt: number
  /** Sendings that the store has not answered yet. */
  onTheWay: number
  /** The store has said of the last sending that the stream has it. */
  taken: boolean
  giveUpAfterMs: number
}

export interface SubmissionDependencies {
  readonly commands: Pick<CommandStream, 'submit'>
  /** When the store was last seen to have kept what it told us: while it is away nothing counts as kept. */
  readonly intactAt: () => number
  readonly trace: EdgeLog
  readonly tracing?: Tracing | undefined
  readonly metrics: Pick<EdgeMetrics, 'submitted' | 'accepted' | 'busy' | 'dropped'>
  /** Called for every accepted command, after the answer. */
  readonly onAccepted: (submission: SubmissionRequest, status: 'new' | 'dup') => void
}

export class Submissions {
  readonly #deps: SubmissionDependencies
  /** Oldest sending first. */
  readonly #waiting = new Map<string, Waiting>()
  readonly #recent: RecentCommands
  #outbox: Outbox | undefined
  #sweeper: NodeJS.Timeout | undefined
  readonly #trouble: SeldomLog

  constructor(deps: SubmissionDependencies) {
    this.#deps = deps
    this.#trouble = new SeldomLog(deps.trace)
    this.#recent = new RecentCommands({
      deliver: (submission) => this.#deliver(submission, false),
      isWaiting: (key) => this.#waiting.has(key),
      trouble: this.#trouble,
    })
  }

  /** Commands that no worker has accepted yet. */
  get waiting(): number {
    return this.#waiting.size
  }

  start(outbox: Outbox): void {
    this.#outbox = outbox
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
  }

  stop(): void {
    clearInterval(this.#sweeper)
  }

  /**
   * Sends a command; the answer goes to the asker. Commands of one session are sent in the order of the calls.
   * @throws ServiceError `busy` when too many commands of this client have no answer yet.
   */
  submit(submission: SubmissionRequest, asker: Asker): void {
    this.checkRoom(asker.client)
    const key = keyOf(submission.sessionId, submission.commandId)
    const present = this.#waiting.get(key)
    if (present && present.askers.length >= MAX_ASKERS) throw this.#busy()
    asker.client.pendingCommands += 1
    if (present) {
      present.askers.push(asker)
      return
    }
    const { tracing } = this.#deps
    const span = tracing && submittedSpan(tracing, submission, asker.traceparent)
    const now = performance.now()
    const waiting: Waiting = {
      ...{ submission, askers: [asker], span, since: now, sentAt: now, onTheWay: 0, taken: false },
      giveUpAfterMs: GIVE_UP_AFTER_MS,
    }
    this.#waiting.set(key, waiting)
    this.#deps.metrics.submitted()
    this.#send(key, waiting, true)
  }

  /** @throws ServiceError `busy` when too many commands of this client have no answer yet. */
  checkRoom(client: CommandClient): void {
    if (client.pendingCommands >= MAX_PER_CLIENT) throw this.#busy()
  }

  /** A worker has decided about a command. */
  settle(acceptance: Acceptance): void {
    const key = keyOf(acceptance.sessionId, acceptance.commandId)
    const waiting = this.#waiting.get(key)
    if (!waiting) return
    if (acceptance.status === 'cold') {
      waiting.giveUpAfterMs = GIVE_UP_COLD_AFTER_MS
      return
    }
    this.#waiting.delete(key)
    if (acceptance.status === 'new' || acceptance.status === 'dup') {
      waiting.span?.end(acceptedAs(acceptance))
      this.#recent.add(key, waiting.submission)
      const seconds = (performance.now() - waiting.since) / MS_PER_SECOND
      this.#deps.metrics.accepted(seconds)
      for (const { client } of waiting.askers) client.meter?.answered(seconds)
      this.#answer(waiting, (asker) => acceptedFrame(acceptance, asker))
      this.#deps.onAccepted(waiting.submission, acceptance.status)
      return
    }
    this.#refuse(waiting, refusal(acceptance))
  }

  /** The outbox has a new name: acceptances may have been lost, and a store that failed over may have lost commands. */
  reopened(outbox: Outbox): void {
    this.#outbox = outbox
    this.#recent.doubt()
    for (const [key, waiting] of [...this.#waiting]) this.#resend(key, waiting)
  }

  /** The client has gone: its commands are still brought to a worker, but nobody waits for the answers. */
  forget(client: CommandClient): void {
    if (client.pendingCommands === 0) return
    for (const waiting of this.#waiting.values()) {
      const left = waiting.askers.filter((asker) => asker.client !== client)
      waiting.askers.splice(0, waiting.askers.length, ...left)
    }
    client.pendingCommands = 0
  }

  #send(key: string, waiting: Waiting, first: boolean): void {
    waiting.onTheWay += 1
    this.#deliver(waiting.submission, first).then(
      (submitted) => {
        waiting.onTheWay -= 1
        waiting.taken = submitted.status === 'ok'
        // Only a command that no stream has seen can be refused; a resent one may have been accepted already. A spawn
        // cannot either: its row stands, and a worker will find it there.
        if (submitted.status !== 'busy' || !first || waiting.submission.type === 'spawn') return
        if (this.#waiting.get(key) !== waiting) return
        this.#waiting.delete(key)
        this.#refuse(waiting, new ServiceError('busy', { retryAfterMs: submitted.retryAfterMs }))
      },
      (error: unknown) => {
        waiting.onTheWay -= 1
        waiting.taken = false
        this.#trouble.warn({ err: error }, 'commands could not be sent; they will be sent again')
      },
    )
  }

  #deliver(submission: SubmissionRequest, first: boolean): ReturnType<CommandStream['submit']> {
    if (this.#outbox === undefined) throw new Error('the outbox is not open yet')
    const fresh = submission.fresh && first
    return this.#deps.commands.submit({ ...submission, fresh, outbox: this.#outbox })
  }

  #resend(key: string, waiting: Waiting): void {
    waiting.sentAt = performance.now()
    waiting.taken = false
    this.#waiting.delete(key)
    this.#waiting.set(key, waiting)
    this.#send(key, waiting, false)
  }

  #sweep(): void {
    const now = performance.now()
    for (const [key, waiting] of this.#waiting) {
      if (now - waiting.sentAt < RESEND_AFTER_MS) break
      if (now - waiting.since < waiting.giveUpAfterMs) {
        if (isDue(waiting, now)) this.#resend(key, waiting)
        continue
      }
      this.#waiting.delete(key)
      this.#refuse(waiting, new ServiceError('outcome_unknown'))
    }
    this.#recent.sweep(this.#deps.intactAt())
  }

  #busy(): ServiceError {
    this.#deps.metrics.busy()
    return new ServiceError('busy', { retryAfterMs: LIMITS.busyRetryMs })
  }

  #refuse(waiting: Waiting, error: ServiceError): void {
    if (error.code === 'busy') this.#deps.metrics.busy()
    waiting.span?.end({ error: error.code })
    this.#deps.metrics.dropped(error.code)
    const { sessionId } = waiting.submission
    this.#answer(waiting, ({ requestId, commandId }) =>
      JSON.stringify(errorReply(error, { requestId, sessionId, commandId })),
    )
  }

  #answer(waiting: Waiting, frameFor: (asker: Asker) => string | undefined): void {
    for (const asker of waiting.askers) {
      asker.client.pendingCommands -= 1
      const frame = frameFor(asker)
      if (frame !== undefined) asker.client.push(frame)
    }
  }
}

/** A store that is slow is not asked twice: this only makes it slower. */
const isDue = ({ sentAt, onTheWay, taken }: Waiting, now: number): boolean =>
  onTheWay === 0 && now - sentAt >= (taken ? RESEND_TAKEN_AFTER_MS : RESEND_AFTER_MS)

const keyOf = (sessionId: string, commandId: string): string => `${sessionId}/${commandId}`
