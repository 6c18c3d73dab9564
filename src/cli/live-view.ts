/**
 * Shows a session while it works, for `spawn` and `attach`: prints what comes, says when the connection is lost, and
 * leaves on Ctrl-C without touching the session.
 */
import type { SessionHandle, TaskEnd } from '../client/client.js'
import type { ServerMessage } from '../protocol/events.js'
import type { ConnectionWatcher } from './connection.js'
import { EXIT } from './exit.js'
import type { Output } from './output.js'
import { Transcript } from './transcript.js'

/** A loss that is repaired sooner than this is not worth a word. */
const QUIET_LOSS_MS = 500

export class LiveView {
  readonly #transcript: Transcript
  #lossTimer: ReturnType<typeof setTimeout> | undefined
  #lossShown = false

  constructor(
    private readonly output: Output,
    private readonly asJson: boolean,
  ) {
    this.#transcript = new Transcript(output.colours)
  }

  /** Give it to `openClient`. */
  readonly onConnection: ConnectionWatcher = (state) => {
    clearTimeout(this.#lossTimer)
    if (state === 'lost') this.#lossTimer = setTimeout(() => this.#lost(), QUIET_LOSS_MS)
    else if (this.#lossShown) this.#restored()
  }

  /** Shows messages until the session ends, or until `last` says that this one was the last. */
  async follow(session: SessionHandle, last: (message: ServerMessage) => boolean): Promise<ServerMessage | undefined> {
    for await (const message of session) {
      this.show(message)
      if (last(message)) return message
    }
    return undefined
  }

  show(message: ServerMessage): void {
    if (this.asJson) this.output.json(message)
    else this.output.write(this.#transcript.show(message))
  }

  /** A sentence beside the session, on a line of its own. */
  note(text: string): void {
    if (!this.asJson) this.output.write(this.#transcript.endLine())
    this.output.note(text)
  }

  /** Calls `leave` on Ctrl-C or SIGTERM, and ends the process with the code of the signal. */
  onSignal(leave: () => void): void {
    const end = (code: number) => () => {
      leave()
      process.exit(code)
    }
    process.once('SIGINT', end(EXIT.interrupted))
    process.once('SIGTERM', end(EXIT.ok))
  }

  #lost(): void {
    this.#lossShown = true
    this.note(this.output.noteColours.yellow('connection lost, reconnecting…'))
  }

  #restored(): void {
    this.#lossShown = false
    this.note(this.output.noteColours.dim('connected again'))
  }
}

export const isTaskEnd = (message: ServerMessage): message is TaskEnd =>
  message.type === 'task_completed' || message.type === 'task_failed' || message.type === 'task_cancelled'
