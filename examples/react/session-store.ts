/**
 * One session for any number of components: it is read while somebody looks, over one subscription, and goes on where it
 * was when somebody looks again.
 */
import {
  type Client,
  ClientError,
  FROM_START,
  type Position,
  type ServerMessage,
  type SessionHandle,
} from '@wundr.io/orchestrator-daemon/client'

/** Events that are shown; a page that shows all reads the history over HTTP. */
const MAX_EVENTS = 200

export interface SessionView {
  /** What the model has written in its present answer, or in its last one. */
  readonly text: string
  /** The last events, oldest first, without pieces of text. */
  readonly events: readonly ServerMessage[]
  /** A task is being worked on. */
  readonly isBusy: boolean
  readonly hasEnded: boolean
  /** Why the session cannot be followed any further. */
  readonly error: ClientError | undefined
}

const NOTHING: SessionView = { text: '', events: [], isBusy: false, hasEnded: false, error: undefined }

export class SessionStore {
  readonly #listeners = new Set<() => void>()
  #view = NOTHING
  #from: Position = FROM_START
  #isReading = false

  constructor(
    private readonly client: Client,
    private readonly sessionId: string,
  ) {}

  readonly view = (): SessionView => this.#view

  /** Reads as long as there is a listener. Returns how to leave. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    if (!this.#isReading) void this.#read()
    return () => {
      this.#listeners.delete(listener)
    }
  }

  async #read(): Promise<void> {
    this.#isReading = true
    try {
      const session = await this.client.attach(this.sessionId, this.#from)
      await this.#follow(session)
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      this.#show({ error })
    } finally {
      this.#isReading = false
    }
    // Somebody may have come while the last one left.
    if (this.#listeners.size > 0 && !this.#view.hasEnded && !this.#view.error) void this.#read()
  }

  async #follow(session: SessionHandle): Promise<void> {
    for await (const message of session) {
      this.#take(message, session)
      this.#from = session.position
      if (this.#listeners.size > 0) continue
      // Nobody looks any more: the session goes on, and the next one who looks begins here.
      session.close()
      return
    }
    this.#show({ hasEnded: true, isBusy: false })
  }

  #take(message: ServerMessage, session: SessionHandle): void {
    if (message.type === 'stream_chunk') {
      this.#show({ text: session.text(message.data.messageId) })
      return
    }
    const events = [...this.#view.events, message].slice(-MAX_EVENTS)
    if (message.type === 'task_executing') this.#show({ events, isBusy: true })
    else if (message.type === 'stream_start') this.#show({ events, text: '' })
    else if (message.type === 'stream_end') this.#show({ events, text: message.text })
    else if (message.type === 'task_completed' || message.type === 'task_failed' || message.type === 'task_cancelled') {
      this.#show({ events, isBusy: false })
    } else this.#show({ events })
  }

  #show(change: Partial<SessionView>): void {
    this.#view = { ...this.#view, ...change }
    for (const listener of this.#listeners) listener()
  }
}
