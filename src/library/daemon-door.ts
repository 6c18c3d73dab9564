/**
 * The door for clients, seen from the program that runs it: where it listens and who is there. What clients say and hear
 * passes through it by itself.
 */

/** What is asked of a running edge. */
export interface ServerView {
  readonly port: number
  readonly isLocked: boolean
  readonly connections: number
  watchersOf(sessionId: string): number
  watchedSessions(): readonly string[]
}

export class DaemonDoor {
  readonly #view: ServerView

  /** Made by `OrchestratorDaemon`. */
  constructor(
    readonly host: string,
    view: ServerView,
  ) {
    this.#view = view
  }

  /** The port it listens on. */
  get port(): number {
    return this.#view.port
  }

  /** Clients that are connected to this node over the network. */
  getClientCount(): number {
    return this.#view.connections
  }

  /** Of these, those that watch the session. */
  getSessionClientCount(sessionId: string): number {
    return this.#view.watchersOf(sessionId)
  }

  /** Sessions that some client watches here. */
  getActiveSessionIds(): readonly string[] {
    return this.#view.watchedSessions()
  }

  /** Whether clients must show a credential. */
  isAuthEnabled(): boolean {
    return this.#view.isLocked
  }
}
