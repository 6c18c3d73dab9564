/**
 * Brings delegated tasks to their sessions: as a client of the node's own door, so that everything that holds for a
 * client's commands holds for them. The ids of spawn, command and task follow from the attempt alone: whoever comes back
 * to it, after whatever crash, asks for the same again and starts nothing twice.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, ClientError, connect, type SessionHandle } from '../client/client.js'
import type { Principal } from '../edge/auth.js'
import {
  type Assigned,
  type AttemptOutcome,
  type AttemptSignals,
  attemptId,
  type TaskRunner,
} from '../federation/attempt.js'
import type { TaskInput } from '../protocol/session.js'
import type { TaskEnd, TaskEnds } from '../storage/task-ends.js'
import { type Entrance, type Inside, inProcessSocket } from './in-process-socket.js'

/** Never resolved: the socket is in this process. */
const IN_PROCESS = 'ws://in-process'
/** Between looks into the database for an end that was missed; most ends are heard at once. */
const LOOK_MS = 1_000
/** Before the same command is sent again whose fate is not known. */
const AGAIN_MS = 1_000
/** How long a task that was cancelled may take to end. */
const CANCEL_GRACE_MS = 10_000
/** Looks for the end of a task whose session is over: the projection is behind by less. */
const LAST_LOOKS = 5

/** The service has said that it did not take the command, and why; all other failures leave that open. */
const REFUSALS: Readonly<Record<string, Pick<Refused, 'reason' | 'retry'>>> = {
  max_sessions: { reason: 'overloaded', retry: true },
  busy: { reason: 'overloaded', retry: true },
  session_not_running: { reason: 'unreachable', retry: true },
  session_not_found: { reason: 'unreachable', retry: true },
  idempotency_conflict: { reason: 'rejected', retry: false },
  invalid_payload: { reason: 'rejected', retry: false },
  forbidden: { reason: 'rejected', retry: false },
}
/** Of a command that may have been sent before, these say nothing: the one before may have been taken. */
const ONLY_WHEN_FIRST = ['max_sessions', 'busy']

type Refused = Extract<AttemptOutcome, { status: 'refused' }>

export interface DelegatedTaskDependencies<I extends Inside> {
  /** The door of this node. */
  readonly entrance: () => Entrance<I>
  readonly ends: Pick<TaskEnds, 'find'>
}

export class DelegatedTasks<I extends Inside> implements TaskRunner {
  readonly #deps: DelegatedTaskDependencies<I>

  constructor(deps: DelegatedTaskDependencies<I>) {
    this.#deps = deps
  }

  async run(attempt: Assigned, resumed: boolean, signals: AttemptSignals): Promise<AttemptOutcome> {
    const { tenant, owner } = attempt
    // May do everything in the tenant: whoever asked was allowed to. What it spawns belongs to the one who asked.
    const principal: Principal = { tenant, subject: owner, role: 'admin', expiresAt: undefined }
    // A connection of its own: the handles of one client share what they hear, and delegations must not.
    const webSocket = inProcessSocket(this.#deps.entrance(), principal)
    const client = await connect({ url: IN_PROCESS, webSocket, traceparent: () => signals.traceparent })
    const over = new AbortController()
    try {
      const work = new AttemptWork(this.#deps, client, attempt, signals, over.signal)
      return await Promise.race([work.run(resumed), givenUp(signals, over.signal, () => work.sessionId)])
    } finally {
      over.abort()
      client.close()
    }
  }
}

class AttemptWork {
  sessionId: string | null

  constructor(
    private readonly deps: Pick<DelegatedTaskDependencies<Inside>, 'ends'>,
    private readonly client: Client,
    private readonly attempt: Assigned,
    private readonly signals: AttemptSignals,
    /** Aborted when nobody waits for the outcome any more. */
    private readonly over: AbortSignal,
  ) {
    this.sessionId = attempt.sessionId
  }

  async run(resumed: boolean): Promise<AttemptOutcome> {
    for (let again = resumed; ; again = true) {
      const end = again ? await this.#endInDatabase() : undefined
      if (end) return this.#ended(end)
      try {
        return this.#ended(await this.#work())
      } catch (error) {
        if (this.over.aborted) return { status: 'abandoned' }
        if (!(error instanceof ClientError)) throw error
        const final = error.code === 'session_ended' ? await this.#endOfSession(error) : refusal(error, again)
        if (final) return final
      }
      await sleep(AGAIN_MS)
    }
  }

  /** Sends the command, which may have been sent before, and waits for the end of the task. */
  async #work(): Promise<TaskEnd> {
    const { handle, ended } = await this.#reach()
    void discard(handle)
    const left = new AbortController()
    const cancel = (): void => void handle.cancel(attemptId(this.attempt)).catch(() => undefined)
    this.signals.cancel.addEventListener('abort', cancel, { signal: left.signal })
    if (this.signals.cancel.aborted) cancel()
    try {
      return await Promise.race([ended, this.#missed(AbortSignal.any([left.signal, this.over]))])
    } finally {
      left.abort()
    }
  }

  async #reach(): Promise<{ handle: SessionHandle; ended: Promise<TaskEnd> }> {
    const { target: orchestratorId, reused, sessionType } = this.attempt
    const id = attemptId(this.attempt)
    const task = taskOf(this.attempt, id)
    if (reused && this.sessionId !== null) {
      const handle = await this.client.attach(this.sessionId)
      return { handle, ended: handle.execute(task, undefined, id) }
    }
    const request = { orchestratorId, idempotencyKey: id, task, ...(sessionType !== null && { sessionType }) }
    const handle = await this.client.spawn(request)
    this.sessionId = handle.id
    await this.signals.onSession(handle.id)
    return { handle, ended: handle.result() }
  }

  /** An end that was not heard: it came before this process watched, or the log of the session began anew. */
  async #missed(signal: AbortSignal): Promise<TaskEnd> {
    for (;;) {
      await sleep(LOOK_MS, undefined, { signal })
      const end = await this.#endInDatabase()
      if (end) return end
    }
  }

  /** The session has ended: either the task's end is on its way into the database, or the task never began. */
  async #endOfSession({ code, message }: ClientError): Promise<AttemptOutcome> {
    for (let look = 0; look < LAST_LOOKS; look++) {
      const end = await this.#endInDatabase()
      if (end) return this.#ended(end)
      await sleep(LOOK_MS, undefined, { signal: this.over })
    }
    return { status: 'refused', reason: 'rejected', code, error: message, retry: false }
  }

  async #endInDatabase(): Promise<TaskEnd | undefined> {
    return this.sessionId === null ? undefined : this.deps.ends.find(this.sessionId, attemptId(this.attempt))
  }

  #ended(end: TaskEnd): AttemptOutcome {
    return { status: 'ended', end, sessionId: end.sessionId }
  }
}

/** Settles when the outcome is not to be waited for any longer: somebody else sees to it, or nobody confirms the end. */
async function givenUp(
  { cancel, abandon }: AttemptSignals,
  over: AbortSignal,
  sessionId: () => string | null,
): Promise<AttemptOutcome> {
  const either = AbortSignal.any([cancel, abandon, over])
  await aborted(either)
  if (!abandon.aborted) await aborted(AbortSignal.any([abandon, over, AbortSignal.timeout(CANCEL_GRACE_MS)]))
  return abandon.aborted || over.aborted ? { status: 'abandoned' } : { status: 'unknown', sessionId: sessionId() }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** Undefined: whether the command was taken is not known, so it is sent again under the same id. */
function refusal({ code, message, details }: ClientError, sentBefore: boolean): Refused | undefined {
  const known = REFUSALS[code]
  const mayBeTaken = sentBefore || details.mayBeTaken === true
  if (!known || (mayBeTaken && ONLY_WHEN_FIRST.includes(code))) return undefined
  return { status: 'refused', code, error: message, ...known }
}

/** The task as the target gets it, under an id that no other attempt has. */
function taskOf({ request, target }: Assigned, id: string): Exclude<TaskInput, string> {
  const { task, context } = request
  const given: Exclude<TaskInput, string> = typeof task === 'string' ? { description: task } : task
  return { ...given, id, assignedTo: target, metadata: { ...given.metadata, ...context } }
}

/** What the session says is of no use here, but would be kept until somebody reads it. */
async function discard(handle: SessionHandle): Promise<void> {
  try {
    for await (const _message of handle);
  } catch {
    // The same error reaches whoever waits for the end of the task.
  }
}
