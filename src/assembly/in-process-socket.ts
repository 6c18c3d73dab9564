/**
 * The WebSocket of a client that lives in the same process as the edge: the same frames, without a network between.
 */
import type { WebSocketConstructor, WebSocketLike } from '../client/client.js'
import type { Principal } from '../edge/auth.js'
import type { Socket } from '../edge/connection.js'

export interface Inside {
  receive(frame: string): void
}

/** The side of the edge that lets clients of its own process in. What it gives out is what it takes back. */
export interface Entrance<I extends Inside> {
  enter(socket: Socket, principal: Principal): I
  leave(connection: I): void
}

type Listener = (event: never) => void

const STATE = { connecting: 0, open: 1, closed: 3 } as const
const NORMAL_CLOSE = 1000
/** "Abnormal closure": what a WebSocket reports when its peer was gone without a word. */
const DROPPED = 1006

/** A constructor for `connect({ webSocket })`. Its sockets belong to `principal`, whatever address they are given. */
export function inProcessSocket<I extends Inside>(entrance: Entrance<I>, principal: Principal): WebSocketConstructor {
  return class extends InProcessSocket<I> {
    constructor() {
      super(entrance, principal)
    }
  }
}

class InProcessSocket<I extends Inside> implements WebSocketLike {
  readyState: number = STATE.connecting
  readonly #listeners = new Map<string, Listener[]>()
  readonly #leave: () => void
  readonly #inside: I

  constructor(entrance: Entrance<I>, principal: Principal) {
    this.#inside = entrance.enter(this.#transport(), principal)
    this.#leave = () => entrance.leave(this.#inside)
    // Later, as every WebSocket does: its user has yet to add listeners.
    queueMicrotask(() => this.#open())
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener])
  }

  send(data: string): void {
    if (this.readyState === STATE.open) this.#inside.receive(data)
  }

  close(code = NORMAL_CLOSE, reason = ''): void {
    if (this.readyState === STATE.closed) return
    this.readyState = STATE.closed
    this.#leave()
    queueMicrotask(() => this.#tell('close', { code, reason }))
  }

  #open(): void {
    if (this.readyState !== STATE.connecting) return
    this.readyState = STATE.open
    this.#tell('open', {})
  }

  /** The edge's view of this socket. Nothing is ever buffered: the client takes every frame in the same turn. */
  #transport(): Socket {
    return {
      // Later: what the client does with a frame must not run inside the edge's own work.
      send: (frame) => queueMicrotask(() => this.#receive(frame)),
      cork: (work) => work(),
      bufferedBytes: () => 0,
      ping: () => undefined,
      end: (code, reason) => this.close(code, reason),
      terminate: () => this.close(DROPPED),
    }
  }

  #receive(data: string): void {
    if (this.readyState === STATE.open) this.#tell('message', { data })
  }

  #tell(type: string, event: object): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never)
  }
}
