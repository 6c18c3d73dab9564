/**
 * Commands of sessions that the in-process bus does not hold, until their owner has asked the database. They are not kept on
 * disk: nobody was told that they are accepted, and they end with the process, as does the edge that sent them.
 */
import type { SessionId } from '../../protocol/ids.js'
import { type ColdSession, LIMITS } from '../bus.js'
import { HYDRATE, type Submission } from '../command.js'

interface Waiting {
  readonly since: number
  readonly commands: Map<string, Submission>
}

export class ColdCommands {
  readonly #sessions = new Map<SessionId, Waiting>()
  #count = 0
  #bytes = 0

  /** False when too much waits already. A command that comes again waits once. */
  add(submission: Submission): boolean {
    const bytes = Buffer.byteLength(submission.body)
    if (this.#count >= LIMITS.coldCommands || this.#bytes + bytes > LIMITS.coldBytes) return false
    const waiting = this.#sessions.get(submission.sessionId) ?? { since: performance.now(), commands: new Map() }
    this.#sessions.set(submission.sessionId, waiting)
    const key = submission.type === HYDRATE ? `h${submission.outbox}` : `c${submission.commandId}`
    if (waiting.commands.has(key)) return true
    waiting.commands.set(key, submission)
    this.#count += 1
    this.#bytes += bytes
    return true
  }

  /** Takes out what waits for a session, in order. */
  take(sessionId: SessionId): readonly Submission[] {
    const taken = [...(this.#sessions.get(sessionId)?.commands.values() ?? [])]
    this.#sessions.delete(sessionId)
    this.#count -= taken.length
    this.#bytes -= taken.reduce((bytes, it) => bytes + Buffer.byteLength(it.body), 0)
    return taken
  }

  sessions(): ColdSession[] {
    const now = performance.now()
    return [...this.#sessions].map(([sessionId, { since }]) => ({ sessionId, waitedMs: now - since }))
  }
}
