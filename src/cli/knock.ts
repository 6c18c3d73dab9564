/**
 * Asks an address whether it would let us in, with the WebSocket handshake over plain HTTP: a WebSocket that is refused
 * does not tell why, and this does.
 */
import { randomBytes } from 'node:crypto'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Trust } from './own-certificate.js'

export type Knocked =
  | { readonly kind: 'open' }
  /** Answered over HTTP: `reason` is the daemon's word, '' when there is none. */
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string }
  | { readonly kind: 'silent'; readonly reason: string }

/** Longer than any network takes to say something. */
const KNOCK_TIMEOUT_MS = 5_000
/** A refusal is one short JSON object. */
const MAX_BODY_BYTES = 4_096
const KEY_BYTES = 16

/** Never rejects. */
export function knock(url: string, headers: Readonly<Record<string, string>>, trust?: Trust): Promise<Knocked> {
  const address = new URL(url.replace(/^ws/, 'http'))
  const send = address.protocol === 'https:' ? httpsRequest : httpRequest
  const handshake = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(KEY_BYTES).toString('base64'),
  }
  const request = send(address, { headers: { ...handshake, ...headers }, timeout: KNOCK_TIMEOUT_MS, ...trust })
  const answer = answerTo(request)
  request.end()
  return answer
}

function answerTo(request: ClientRequest): Promise<Knocked> {
  return new Promise((resolve) => {
    request.on('upgrade', (_response, socket) => {
      socket.destroy()
      resolve({ kind: 'open' })
    })
    request.on('response', (response) => {
      void reasonIn(response).then((reason) => resolve({ kind: 'refused', status: response.statusCode ?? 0, reason }))
    })
    request.on('timeout', () => request.destroy(new Error(`no answer within ${KNOCK_TIMEOUT_MS} ms`)))
    request.on('error', (error: NodeJS.ErrnoException) => {
      resolve({ kind: 'silent', reason: error.code ?? error.message })
    })
  })
}

/** Of `{"error":"jwt_expired"}`, the word. */
async function reasonIn(response: IncomingMessage): Promise<string> {
  try {
    let text = ''
    for await (const part of response) {
      text += String(part)
      if (text.length > MAX_BODY_BYTES) break
    }
    const { error } = JSON.parse(text) as { readonly error?: unknown }
    return typeof error === 'string' ? error : ''
  } catch {
    // Not the daemon's own words; the status says enough.
    return ''
  }
}
