/**
 * A handshake that the service answers over HTTP instead of taking it up, and whether asking again can help. Only the
 * package `ws` shows that answer. A WebSocket of a browser, for the safety of other sites, tells no more than that it
 * closed with 1006, so there a refused credential cannot be told from a lost network and is tried again.
 */
import { ClientError } from './client-error.js'
import type { WebSocketLike } from './web-socket.js'

export interface Refusal {
  readonly status: number
  /** The service's word, a code of its error table; '' when a proxy or another server has answered. */
  readonly reason: string
  /** How long it asks to be left alone. */
  readonly retryAfterMs?: number
}

/** A refusal is one short JSON object; of anything longer the beginning is enough. */
const MAX_BODY_CHARS = 4_096

const MS_PER_SECOND = 1_000
const UNAUTHORIZED = 401
const FORBIDDEN = 403

/** What is used of the answer that `ws` hands out, an IncomingMessage of Node.js. */
interface Answer {
  readonly statusCode?: number
  readonly headers: { readonly 'retry-after'?: string | undefined }
  setEncoding(encoding: 'utf8'): unknown
  on(event: 'data', listener: (part: string) => void): unknown
  on(event: 'error' | 'close', listener: () => void): unknown
}

interface TellsRefusals {
  on(event: 'unexpected-response', listener: (request: unknown, answer: Answer) => void): unknown
}

/** Calls `heard` when the handshake is refused. With a listener `ws` leaves closing to it: `heard` closes the socket. */
export function onRefusal(socket: WebSocketLike, heard: (refusal: Refusal) => void): void {
  if (!tellsRefusals(socket)) return
  socket.on('unexpected-response', (_request, answer) => {
    let body = ''
    answer.setEncoding('utf8')
    answer.on('data', (part) => {
      if (body.length < MAX_BODY_CHARS) body += part
    })
    answer.on('error', () => {
      // An answer that breaks off closes too, and its status is known.
    })
    answer.on('close', () => heard({ status: answer.statusCode ?? 0, reason: reasonIn(body), ...waitIn(answer) }))
  })
}

/**
 * The error that ends the client, or undefined when the service may answer otherwise later: a credential does not become
 * better, a service that is full or away does.
 */
export function finalError({ status, reason }: Refusal, url: string): ClientError | undefined {
  if (status !== UNAUTHORIZED && status !== FORBIDDEN) return undefined
  const word = reason === '' ? `HTTP ${status}` : reason
  const advice = 'connect again with one that was made for this service and has not expired'
  const message = `${withoutQuery(url)} refused the credential (${word}); ${advice}`
  return new ClientError(reason === '' ? 'refused' : reason, message, { retryable: false })
}

const tellsRefusals = (socket: WebSocketLike): socket is WebSocketLike & TellsRefusals =>
  'on' in socket && typeof socket.on === 'function'

/** Given in seconds; the other form, a date, is of a clock that is not ours. */
function waitIn({ headers }: Answer): { readonly retryAfterMs?: number } {
  const seconds = /^\d{1,6}$/.exec(headers['retry-after'] ?? '')?.[0]
  return seconds === undefined ? {} : { retryAfterMs: Number(seconds) * MS_PER_SECOND }
}

function reasonIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { readonly error?: unknown }
    return typeof error === 'string' ? error : ''
  } catch {
    // Not the service's own words; the status says enough.
    return ''
  }
}

/** The query may hold a key. */
function withoutQuery(url: string): string {
  const address = new URL(url)
  address.search = ''
  return address.href
}
