/**
 * What is said over a connection: to the service, to a server that sends every request back, and to a Socket.IO server.
 * Answers are not parsed: their kind and ids are found by scanning, which costs a tenth of reading JSON.
 */

export const DIALECTS = ['service', 'mirror', 'socket-io', 'ping'] as const
export type DialectName = (typeof DIALECTS)[number]

/** Who hears what a frame says. */
export interface Listener {
  /** The connection may send requests, for `sessionId` where there are sessions. */
  ready(sessionId: string): void
  completed(request: number): void
  refused(request: number, code: string): void
  /** `request` is undefined when an error answers none. */
  failed(reason: string): void
  event(number: number): void
  say(text: string): void
}

export interface Dialect {
  /** Path of the upgrade request. */
  readonly path: string
  /** Called when the connection is open. */
  open(listener: Listener): void
  /** Reads one message of the server. */
  read(text: string, listener: Listener): void
  request(sessionId: string, request: number): string
}

/** Marks the answers to the spawn, which no request waits for. */
const SPAWN = 'spawn'
const TYPE = '{"type":"'
const REQUEST_ID = '"requestId":"'
const EVENT_ID = '"eventId":"'
const ZERO = 48
const NINE = 57
const DASH = 45

class ServiceDialect implements Dialect {
  readonly path = '/'

  open(listener: Listener): void {
    const payload = { orchestratorId: 'load', sessionType: 'echo', task: 'hello' }
    listener.say(JSON.stringify({ type: 'spawn_session', requestId: SPAWN, payload }))
  }

  read(text: string, listener: Listener): void {
    const eventId = text.indexOf(EVENT_ID)
    if (eventId > 0) listener.event(sequenceAt(text, eventId + EVENT_ID.length))
    if (text.startsWith('task_completed', TYPE.length)) completed(text, listener)
    else if (text.startsWith('task_executing', TYPE.length)) return
    else if (text.startsWith('error', TYPE.length)) refused(text, listener)
    else if (text.startsWith('task_failed', TYPE.length)) refused(text, listener)
    else if (text.startsWith('task_cancelled', TYPE.length)) refused(text, listener)
  }

  request(sessionId: string, request: number): string {
    return `{"type":"execute_task","requestId":"${request}","payload":{"sessionId":"${sessionId}","task":"x"}}`
  }
}

function completed(text: string, listener: Listener): void {
  const at = text.indexOf(REQUEST_ID)
  const request = numberAt(text, at + REQUEST_ID.length)
  if (at > 0 && request !== undefined) listener.completed(request)
  else if (fieldOf(text, 'requestId') === SPAWN) listener.ready(fieldOf(text, 'sessionId') ?? '')
  else listener.failed(`a task ended that nobody asked for: ${text.slice(0, 200)}`)
}

function refused(text: string, listener: Listener): void {
  const code = fieldOf(text, 'code') ?? 'cancelled'
  const request = Number.parseInt(fieldOf(text, 'requestId') ?? '', 10)
  if (Number.isNaN(request)) listener.failed(`${code}: ${fieldOf(text, 'error') ?? ''}`)
  else listener.refused(request, code)
}

/** The server sends back what it gets, over whatever way it takes inside. */
class MirrorDialect implements Dialect {
  readonly path = '/'

  open(listener: Listener): void {
    listener.ready('mirror')
  }

  read(text: string, listener: Listener): void {
    const request = numberAt(text, text.indexOf(REQUEST_ID) + REQUEST_ID.length)
    if (request === undefined) listener.failed(`unexpected: ${text.slice(0, 200)}`)
    else listener.completed(request)
  }

  request(_sessionId: string, request: number): string {
    return `{"type":"execute_task","requestId":"${request}","payload":{"sessionId":"session_000_mirror","task":"x"}}`
  }
}

/** Packet types of Engine.IO 4, followed by those of Socket.IO 5 in messages. */
const PACKET = { open: '0', ping: '2', pong: '3', connect: '40', event: '42' } as const

class SocketIoDialect implements Dialect {
  readonly path = '/socket.io/?EIO=4&transport=websocket'

  open(): void {
    // The server speaks first.
  }

  read(text: string, listener: Listener): void {
    if (text.startsWith(PACKET.event)) {
      const request = numberAt(text, text.indexOf(REQUEST_ID) + REQUEST_ID.length)
      if (request !== undefined) listener.completed(request)
    } else if (text.startsWith(PACKET.connect)) listener.ready(fieldOf(text, 'sid') ?? '')
    else if (text.startsWith(PACKET.open)) listener.say(PACKET.connect)
    else if (text === PACKET.ping) listener.say(PACKET.pong)
    else listener.failed(`unexpected: ${text.slice(0, 200)}`)
  }

  request(sessionId: string, request: number): string {
    return `${PACKET.event}["execute_task",{"requestId":"${request}","payload":{"sessionId":"${sessionId}","task":"x"}}]`
  }
}

/** The service's own `ping`, which any server of its protocol answers. Answers name no request: they come in order. */
class PingDialect implements Dialect {
  readonly path = '/'
  readonly #asked: number[] = []

  open(listener: Listener): void {
    listener.ready('ping')
  }

  read(text: string, listener: Listener): void {
    if (text.startsWith('pong', TYPE.length)) listener.completed(this.#asked.shift() ?? Number.NaN)
    else if (text.startsWith('error', TYPE.length)) listener.failed(text.slice(0, 200))
  }

  request(_sessionId: string, request: number): string {
    this.#asked.push(request)
    return '{"type":"ping"}'
  }
}

export function dialectOf(name: DialectName): Dialect {
  if (name === 'service') return new ServiceDialect()
  if (name === 'ping') return new PingDialect()
  return name === 'mirror' ? new MirrorDialect() : new SocketIoDialect()
}

/** The digits at `at` as a number, or undefined when there are none. */
function numberAt(text: string, at: number): number | undefined {
  let value = 0
  let index = at
  for (; ; index++) {
    const digit = text.charCodeAt(index)
    if (!(digit >= ZERO && digit <= NINE)) break
    value = value * 10 + digit - ZERO
  }
  return index === at ? undefined : value
}

/** The second part of an event id, `<epoch>-<number>`. */
function sequenceAt(text: string, at: number): number {
  let index = at
  while (text.charCodeAt(index) !== DASH && index < text.length) index++
  return numberAt(text, index + 1) ?? Number.NaN
}

/** The value of the first string field of that name. For rare frames. */
function fieldOf(text: string, name: string): string | undefined {
  const start = text.indexOf(`"${name}":"`)
  if (start < 0) return undefined
  const from = start + name.length + 4
  return text.slice(from, text.indexOf('"', from))
}
