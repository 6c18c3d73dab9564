/**
 * What a program's own side keeps of its sessions: what they have said, and figures that the program adds. Of sessions that
 * have ended it is kept until somebody cleans up, or too many have.
 */
import type { Session, SessionMetrics } from '../protocol/session.js'

/** Of what a session has said; more is in its log. */
const MAX_OUTPUT_CHARS = 100_000
/** Ended sessions that are kept: 100 MB at worst. The one that ended longest ago makes room. */
const MAX_ENDED = 1_000

interface Note {
  output: string
  metrics: Partial<SessionMetrics>
  /** By the monotonic clock, in ms; undefined while it is watched. */
  endedAt: number | undefined
}

export class SessionNotes {
  /** Ended ones stand behind each other in the order of their ends. */
  readonly #notes = new Map<string, Note>()
  #ended = 0

  constructor(private readonly clock: () => number = () => performance.now()) {}

  output(sessionId: string): string {
    return this.#notes.get(sessionId)?.output ?? ''
  }

  heard(sessionId: string, text: string): void {
    const note = this.#note(sessionId)
    note.output = `${note.output}${text}`.slice(-MAX_OUTPUT_CHARS)
  }

  /** Figures that stand in place of the service's own wherever this program looks. */
  setMetrics(sessionId: string, metrics: Partial<SessionMetrics>): void {
    const note = this.#note(sessionId)
    note.metrics = { ...note.metrics, ...metrics }
  }

  /** The session with the figures of this program. */
  shown(session: Session): Session {
    return { ...session, metrics: this.metrics(session.id, session.metrics) }
  }

  metrics(sessionId: string, recorded: SessionMetrics): SessionMetrics {
    return { ...recorded, ...this.#notes.get(sessionId)?.metrics }
  }

  /** Nothing new is to come of this session. */
  ended(sessionId: string): void {
    const note = this.#notes.get(sessionId)
    if (!note || note.endedAt !== undefined) return
    note.endedAt = this.clock()
    this.#notes.delete(sessionId)
    this.#notes.set(sessionId, note)
    this.#ended += 1
    if (this.#ended > MAX_ENDED) this.#forgetFirst()
  }

  /** Forgets what ended at least so long ago. Returns of how many sessions. */
  cleanUp(olderThanMs: number): number {
    const before = this.clock() - olderThanMs
    const due = [...this.#notes].filter(([, { endedAt }]) => endedAt !== undefined && endedAt <= before)
    for (const [id] of due) this.#forget(id)
    return due.length
  }

  #forgetFirst(): void {
    for (const [id, { endedAt }] of this.#notes) {
      if (endedAt === undefined) continue
      this.#forget(id)
      return
    }
  }

  #forget(sessionId: string): void {
    this.#notes.delete(sessionId)
    this.#ended -= 1
  }

  #note(sessionId: string): Note {
    const known = this.#notes.get(sessionId)
    if (known) return known
    const note: Note = { output: '', metrics: {}, endedAt: undefined }
    this.#notes.set(sessionId, note)
    return note
  }
}
