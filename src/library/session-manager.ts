/**
 * Sessions for a program: spawn them, give them tasks, look at them, stop them, and hear what becomes of them. Works over
 * any client of the service, in this process or far away; the sessions themselves live on workers.
 */
import { EventEmitter } from 'node:events'
import { type Client, ClientError, FROM_START, type SessionHandle, type TaskEnd } from '../client/client.js'
import { MAX_FAILURE_CHARS } from '../protocol/commands.js'
import {
  isTerminal,
  type Session,
  type SessionMetrics,
  type SessionOptions,
  type SessionType,
  type TaskInput,
} from '../protocol/session.js'
import { eventsOf, type SessionEvent, type SessionEvents } from './session-events.js'
import { SessionNotes } from './session-notes.js'

/** Half of what one connection may watch; beyond it the session that was watched longest is let go. */
const MAX_WATCHED = 5_000
/** Sessions in one question; the largest page that the service gives. */
const PAGE = 200
/** A program that has more sessions than this pages through them with the client. */
const MAX_LISTED = 10_000
const CLAUDE_TYPES: readonly SessionType[] = ['claude-code', 'claude-flow', 'ruflo']
/** How long the reference keeps a session that has ended. */
const ENDED_KEPT_MS = 3_600_000
/** A worker announces a session at once; when all are busy moving, the caller gets the session as it stands by then. */
const ANNOUNCEMENT_TIMEOUT_MS = 10_000

export class SessionManager extends EventEmitter<SessionEvents> {
  readonly #client: Client
  /** Oldest first. */
  readonly #watched = new Map<string, SessionHandle>()
  readonly #notes = new SessionNotes()
  /** Who waits for a session to be announced. */
  readonly #awaited = new Map<string, (session: Session) => void>()

  constructor(client: Client) {
    super()
    this.#client = client
  }

  /** Creates a session, which starts on its task at once. @throws ClientError when the service refuses. */
  async spawnSession(
    orchestratorId: string,
    task: TaskInput,
    type?: SessionType,
    options?: SessionOptions,
  ): Promise<Session> {
    const how = { ...(type !== undefined && { sessionType: type }), ...(options !== undefined && { options }) }
    const handle = await this.#client.spawn({ orchestratorId, task, ...how })
    const announced = this.#announcementOf(handle.id)
    this.#follow(handle, undefined)
    return (await announced) ?? handle.status()
  }

  /** Gives a session a task and waits for its end, be it good or bad. @throws ClientError when the service refuses. */
  async executeTask(sessionId: string, task: TaskInput, context?: Readonly<Record<string, unknown>>): Promise<TaskEnd> {
    const handle = await this.watch(sessionId)
    return handle.execute(task, context)
  }

  /** Ends a session for good. @throws ClientError when there is none. */
  async stopSession(sessionId: string): Promise<void> {
    const handle = await this.watch(sessionId)
    await handle.stop()
  }

  /** Ends a session when everything that it was given before is done. @throws ClientError when there is none. */
  async completeSession(sessionId: string): Promise<void> {
    const handle = await this.watch(sessionId)
    await handle.complete()
  }

  /** Ends a session for good, as `failed`: its work is of no use to this program. @throws ClientError when there is none. */
  async failSession(sessionId: string, error: Error | string): Promise<void> {
    const reason = (typeof error === 'string' ? error : error.message) || 'no reason was given'
    const handle = await this.watch(sessionId)
    await handle.fail(reason.slice(0, MAX_FAILURE_CHARS))
  }

  /**
   * Puts figures of this program in place of the service's, wherever this object shows the session, and tells of them. What
   * the service has recorded, and shows to others, stays as it is. @throws ClientError when there is no such session.
   */
  async updateMetrics(sessionId: string, metrics: Partial<SessionMetrics>): Promise<void> {
    const session = await this.#client.status(sessionId)
    // Watched, so that its end is seen and what is kept of it can go.
    if (!isTerminal(session.status)) await this.watch(sessionId)
    this.#notes.setMetrics(sessionId, metrics)
    if (isTerminal(session.status)) this.#notes.ended(sessionId)
    this.emit('session:metrics_updated', { sessionId, metrics: this.#notes.shown(session).metrics })
  }

  /** Forgets what is kept here of sessions that ended so long ago; returns of how many. The service forgets nothing. */
  cleanup(olderThanMs = ENDED_KEPT_MS): number {
    return this.#notes.cleanUp(olderThanMs)
  }

  /** Says something to a session, which answers in its own time: as a task, behind those that it has. */
  async sendToSession(sessionId: string, text: string): Promise<void> {
    const handle = await this.watch(sessionId)
    // How it ends is told by the events of tasks.
    handle.execute(text).catch(() => undefined)
  }

  /** What a session has said while it was watched here, at most the last 100,000 characters; '' when it never was. */
  getSessionOutput(sessionId: string): string {
    return this.#notes.output(sessionId)
  }

  /** Sessions of Claude that have not ended. */
  async listActiveClaudioSessions(): Promise<readonly Session[]> {
    return (await this.getActiveSessions()).filter(({ type }) => CLAUDE_TYPES.includes(type))
  }

  /** Watches nothing any more; the sessions go on. May be called twice. */
  async shutdown(): Promise<void> {
    for (const handle of [...this.#watched.values()]) {
      this.#letGo(handle)
      handle.close()
    }
  }

  async getSession(sessionId: string): Promise<Session | undefined> {
    try {
      return this.#notes.shown(await this.#client.status(sessionId))
    } catch (error) {
      if (error instanceof ClientError && error.code === 'session_not_found') return undefined
      throw error
    }
  }

  /** The newest 10,000 sessions, those that have ended too. */
  async getAllSessions(): Promise<readonly Session[]> {
    const all: Session[] = []
    let cursor: string | undefined
    do {
      const page = await this.#client.list({ limit: PAGE, ...(cursor !== undefined && { cursor }) })
      all.push(...page.sessions.map((session) => this.#notes.shown(session)))
      cursor = page.cursor
    } while (cursor !== undefined && all.length < MAX_LISTED)
    return all
  }

  /** Sessions that have not ended. */
  async getActiveSessions(): Promise<readonly Session[]> {
    return (await this.getAllSessions()).filter(({ status }) => !isTerminal(status))
  }

  async getSessionCount(): Promise<number> {
    return (await this.getAllSessions()).length
  }

  async getActiveSessionCount(): Promise<number> {
    return (await this.getActiveSessions()).length
  }

  /** Tells of a session that exists, from now on. @throws ClientError `session_not_found` */
  async watch(sessionId: string): Promise<SessionHandle> {
    const known = this.#watched.get(sessionId)
    if (known) return known
    const handle = await this.#client.attach(sessionId)
    this.#follow(handle, await handle.status())
    return handle
  }

  /** Tells of a session that has just been spawned, from its first event on. */
  async watchFromStart(sessionId: string): Promise<void> {
    if (!this.#watched.has(sessionId)) this.#follow(await this.#client.attach(sessionId, FROM_START), undefined)
  }

  /** Resolves with undefined when the session is not announced in time. */
  #announcementOf(sessionId: string): Promise<Session | undefined> {
    return new Promise((resolve) => {
      const finish = (session?: Session): void => {
        clearTimeout(timer)
        this.#awaited.delete(sessionId)
        resolve(session)
      }
      const timer = setTimeout(finish, ANNOUNCEMENT_TIMEOUT_MS)
      this.#awaited.set(sessionId, finish)
    })
  }

  #follow(handle: SessionHandle, session: Session | undefined): void {
    if (this.#watched.has(handle.id)) return
    this.#watched.set(handle.id, handle)
    for (const [, oldest] of this.#watched.size > MAX_WATCHED ? this.#watched : []) {
      this.#letGo(oldest)
      oldest.close()
      break
    }
    void this.#tell(handle, session)
  }

  async #tell(handle: SessionHandle, known: Session | undefined): Promise<void> {
    const messages = handle[Symbol.asyncIterator]()
    let session = known
    for (let message = await next(messages); message; message = await next(messages)) {
      const after = eventsOf(message, session)
      session = after.session
      if (message.type === 'stream_end') this.#notes.heard(handle.id, message.text)
      for (const event of after.events) this.#emit(event)
    }
    this.#letGo(handle)
  }

  #emit([name, ...args]: SessionEvent): void {
    const [about] = args
    // The union of all pairs cannot be told apart by the type of `emit`; each pair by itself is right.
    this.emit(name, this.#asShown(about) as never)
    if (name === 'session:spawned' && 'id' in about) this.#awaited.get(about.id)?.(about)
  }

  #asShown(about: SessionEvent[1]): SessionEvent[1] {
    if ('metrics' in about && 'sessionId' in about) {
      return { ...about, metrics: this.#notes.metrics(about.sessionId, about.metrics) }
    }
    return 'id' in about ? this.#notes.shown(about) : about
  }

  #letGo(handle: SessionHandle): void {
    if (this.#watched.get(handle.id) !== handle) return
    this.#watched.delete(handle.id)
    this.#notes.ended(handle.id)
  }
}

/** A session that cannot be watched any more has nothing further to tell; its user's next question says why. */
async function next<T>(messages: AsyncIterator<T>): Promise<T | undefined> {
  try {
    const { done, value } = await messages.next()
    return done ? undefined : value
  } catch (error) {
    if (error instanceof ClientError) return undefined
    throw error
  }
}
