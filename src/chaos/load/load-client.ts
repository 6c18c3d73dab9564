/**
 * One client of the load: a connection that comes back at another edge, the sessions that it watches, and everything that
 * it sent until it has an answer. What it sends and receives is written down frame by frame (client-recorder.ts).
 */
import { ReconnectingLink } from '../../client/reconnect.js'
import type { WebSocketConstructor } from '../../client/web-socket.js'
import type { LoggedEvent, ServerMessage } from '../../protocol/events.js'
import type { ErrorReply, Subscribed } from '../../protocol/replies.js'
import type { ClientRecorder } from '../client-recorder.js'
import type { LoadCommand } from './command.js'
import type { LoadSession, OpenCommand } from './load-session.js'

const DEFAULT_RETRY_MS = 1_000
/** Marks questions that are no commands. */
const SUBSCRIBE = 'subscribe:'

export interface LoadClientOptions {
  /** Where it may connect to; it moves on when one is lost. */
  readonly urls: readonly string[]
  /** The node that stands behind an address now. */
  readonly nodeAt: (url: string) => string
  readonly token: string | undefined
  readonly webSocket: WebSocketConstructor
  readonly recorder: ClientRecorder
  /** False: it only sends, and what the edge shows it of those sessions is of no interest. */
  readonly watches: boolean
  readonly listener: ClientListener
}

/** Who keeps the books over all clients. */
export interface ClientListener {
  sent(): void
  repeated(): void
  refused(code: string, final: boolean): void
  ended(session: LoadSession): void
  /** There is a new event of it. */
  progressed(session: LoadSession): void
}

export class LoadClient {
  readonly #options: LoadClientOptions
  readonly #link: ReconnectingLink
  readonly #sessions = new Map<string, LoadSession>()
  readonly #starting = new Map<string, LoadSession>()
  #url = ''
  #connected = false
  #onFirst: (() => void) | undefined
  #socket: InstanceType<WebSocketConstructor> | undefined

  constructor(options: LoadClientOptions) {
    this.#options = options
    const client = this
    const webSocket = class extends options.webSocket {
      constructor(url: string) {
        super(url)
        // Without the token, which stands behind the address.
        client.#url = url.replace(/\/?(\?.*)?$/, '')
        client.#socket = this
      }
    }
    this.#link = new ReconnectingLink(
      { urls: options.urls, token: options.token, webSocket },
      {
        onOpen: () => this.#opened(),
        onFrame: (text) => {
          this.#receive(text)
          return true
        },
        onLost: () => this.#lost(),
        onEnd: () => this.#lost(),
      },
    )
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Address that it is, or was last, connected to. */
  get url(): string {
    return this.#url
  }

  get sessions(): Iterable<LoadSession> {
    return this.#sessions.values()
  }

  /** Commands of all its sessions that have not ended. */
  get open(): OpenCommand[] {
    return [...this.#starting.values(), ...this.#sessions.values()].flatMap((session) => [...session.open.values()])
  }

  /** The first connection stands. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#onFirst = resolve
      this.#link.start()
    })
  }

  /** Creates a session. It is known when `onEnded` reports the end of its first task. */
  spawn(session: LoadSession, command: LoadCommand): void {
    this.#starting.set(command.id, session)
    this.send(session, command)
  }

  /** Sends a command, again and again until it has ended. */
  send(session: LoadSession, command: LoadCommand): void {
    this.#options.listener.sent()
    session.open.set(command.id, { command, accepted: false, again: undefined })
    this.#emit(command, session)
  }

  /** Sends a command of somebody else once, as a second client of the same user would. */
  sendOnce(session: LoadSession, command: LoadCommand): void {
    this.#emit(command, session)
  }

  /** Forgets a session that is over. */
  forget(session: LoadSession): void {
    this.#sessions.delete(session.id)
  }

  /** Watches a session that somebody else has started, from its beginning. */
  watch(session: LoadSession): void {
    this.#sessions.set(session.id, session)
    this.#subscribe(session)
  }

  /** Reads nothing for a while, as a client does whose machine has better things to do. */
  stopReading(): void {
    ;(this.#socket as { pause?(): void } | undefined)?.pause?.()
  }

  readOn(): void {
    ;(this.#socket as { resume?(): void } | undefined)?.resume?.()
  }

  /** Its network is gone, without a word to the edge. */
  loseConnection(): void {
    ;(this.#socket as { terminate?(): void } | undefined)?.terminate?.()
  }

  /** Whether an edge has taken up every session that it watches. */
  get watching(): boolean {
    return this.#connected && [...this.#sessions.values()].every(({ asking }) => !asking)
  }

  /** `complete`: it has waited until nothing more came. */
  close(complete: boolean): void {
    this.#options.recorder.closed(complete && this.#connected)
    this.#link.close()
  }

  #opened(): void {
    this.#connected = true
    this.#options.recorder.connected(this.#options.nodeAt(this.#url))
    this.#onFirst?.()
    this.#onFirst = undefined
    // First the past, then what is still to be answered, as the client library does it.
    for (const session of this.#sessions.values()) this.#subscribe(session)
    for (const session of [...this.#starting.values(), ...this.#sessions.values()]) this.#sendAgain(session)
  }

  #sendAgain(session: LoadSession): void {
    for (const open of session.open.values()) {
      if (open.accepted) continue
      this.#options.listener.repeated()
      this.#emit(open.command, session)
    }
  }

  #lost(): void {
    if (!this.#connected) return
    this.#connected = false
    this.#options.recorder.disconnected()
  }

  #emit({ id, type, frame, poison }: LoadCommand, session: LoadSession): void {
    if (!this.#connected) return
    const about = { command: id, type, ...(session.spawned && { session: session.id }), ...(poison && { poison }) }
    this.#options.recorder.sent(about)
    this.#link.send(frame)
  }

  #subscribe(session: LoadSession): void {
    if (!this.#connected) return
    session.asking = true
    this.#options.recorder.subscribing(session.id)
    const payload = { sessionId: session.id, from: session.position }
    this.#link.send(JSON.stringify({ type: 'subscribe', requestId: `${SUBSCRIBE}${session.id}`, payload }))
  }

  #receive(text: string): void {
    const message = JSON.parse(text) as ServerMessage
    if (!this.#options.watches && (message.type === 'stream_chunk' || 'eventId' in message)) return
    const mine = this.#options.recorder.frame(text, message)
    if (message.type === 'command_accepted') this.#accepted(message.commandId, message.sessionId, message.result)
    else if (message.type === 'error') this.#refused(message)
    else if (message.type === 'subscribed') this.#subscribed(message)
    else if (mine && message.type === 'stream_chunk') this.#logged(message.data.sessionId, message)
    else if (mine && 'eventId' in message) this.#logged(message.sessionId, message)
  }

  #accepted(id: string, sessionId: string, result: string | undefined): void {
    const starting = this.#starting.get(id)
    if (starting) {
      this.#starting.delete(id)
      starting.id = sessionId
      this.#sessions.set(sessionId, starting)
    }
    const session = this.#sessions.get(sessionId)
    const open = session?.open.get(id)
    if (!session || !open) return
    open.accepted = true
    // What ended it may have been passed over by a reset.
    if (result !== undefined && session.open.delete(id)) this.#ended(session, open)
  }

  #refused({ commandId, requestId, code, retryable, retryAfterMs }: ErrorReply): void {
    const session = this.#sessionOf(commandId)
    const open = commandId === undefined ? undefined : session?.open.get(commandId)
    this.#options.listener.refused(code, !retryable)
    if (session && open) {
      if (retryable) this.#again(session, open, retryAfterMs)
      else {
        session.open.delete(open.command.id)
        this.#starting.delete(open.command.id)
        session.onEnded(session, open.command)
      }
    } else if (String(requestId ?? '').startsWith(SUBSCRIBE)) this.#subscribeAgain(String(requestId), retryAfterMs)
  }

  #sessionOf(commandId: string | undefined): LoadSession | undefined {
    if (commandId === undefined) return undefined
    const starting = this.#starting.get(commandId)
    if (starting) return starting
    for (const session of this.#sessions.values()) if (session.open.has(commandId)) return session
    return undefined
  }

  #again(session: LoadSession, open: OpenCommand, afterMs = DEFAULT_RETRY_MS): void {
    clearTimeout(open.again)
    open.again = setTimeout(() => {
      if (open.accepted || !session.open.has(open.command.id)) return
      this.#options.listener.repeated()
      this.#emit(open.command, session)
    }, afterMs)
  }

  #subscribeAgain(requestId: string, afterMs = DEFAULT_RETRY_MS): void {
    const session = this.#sessions.get(requestId.slice(SUBSCRIBE.length))
    if (session) setTimeout(() => this.#subscribe(session), afterMs)
  }

  #subscribed(message: Subscribed): void {
    const session = this.#sessions.get(message.sessionId)
    if (!session) return
    session.asking = false
    if (!message.reset) return
    session.reset(message.eventId)
    // Ends that were passed over are asked for: a command that is known is answered with what ended it.
    for (const open of session.open.values()) open.accepted = false
    this.#sendAgain(session)
  }

  #logged(sessionId: string, message: ServerMessage): void {
    const session = this.#sessions.get(sessionId)
    if (!session || session.asking) return
    const verdict = session.judge(message)
    if (verdict === 'gap') this.#subscribe(session)
    if (verdict !== 'next') return
    this.#options.listener.progressed(session)
    if (message.type === 'stream_chunk') return
    for (const open of session.endedBy(message as LoggedEvent)) this.#ended(session, open)
  }

  #ended(session: LoadSession, open: OpenCommand): void {
    clearTimeout(open.again)
    this.#options.listener.ended(session)
    session.onEnded(session, open.command)
  }
}
