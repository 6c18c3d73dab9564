/**
 * `fetch` for MCP servers over HTTP: each connection goes to an address that was checked, and no answer is endless.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Readable, Transform } from 'node:stream'
import type { FetchLike } from '@modelcontextprotocol/sdk/shared/transport.js'
import { isPublicAddress, literalAddress, PrivateAddress, publicLookup } from '../tools/public-address.js'
import { MAX_MESSAGE_BYTES } from './stdio-transport.js'

/** Answers without a body, by the standard. */
const WITHOUT_BODY: ReadonlySet<number> = new Set([101, 204, 205, 304])

/**
 * @param allowPrivate for servers that the operator has declared. `onBroken` is told of an answer that broke off.
 */
export function serverFetch(allowPrivate: boolean, onBroken: (error: Error) => void): FetchLike {
  return async (input, init = {}) => {
    const url = new URL(input)
    const headers = new Headers(init.headers)
    // The stream on which a server speaks first is not wanted: nobody would listen. One that is taken up again is.
    if (init.method === 'GET' && !headers.has('last-event-id')) return new Response(null, { status: 405 })
    const answer = await send(url, init, headers, allowPrivate)
    const { statusCode: status = 502, statusMessage: statusText = '' } = answer
    const body = WITHOUT_BODY.has(status) ? null : bodyOf(answer, onBroken)
    if (body === null) answer.resume()
    return new Response(body, { status, statusText, headers: headersOf(answer) })
  }
}

function send(url: URL, init: RequestInit, headers: Headers, allowPrivate: boolean): Promise<IncomingMessage> {
  // The lookup hook sees names only; an address written out is checked here.
  const literal = literalAddress(url.hostname)
  if (!allowPrivate && literal !== undefined && !isPublicAddress(literal)) throw new PrivateAddress(literal)
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    request(url, {
      method: init.method ?? 'GET',
      headers: { 'user-agent': 'orchestrator-daemon', ...Object.fromEntries(headers), 'accept-encoding': 'identity' },
      // No pool: a pooled connection could be one that was made under another rule.
      agent: false,
      ...(init.signal && { signal: init.signal }),
      ...(!allowPrivate && { lookup: publicLookup }),
    })
      .once('response', resolve)
      .once('error', reject)
      .end(init.body ?? undefined)
  })
}

function bodyOf(answer: IncomingMessage, onBroken: (error: Error) => void): ReadableStream<Uint8Array> {
  let bytes = 0
  const bounded = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      done(bytes > MAX_MESSAGE_BYTES ? new Error(`an answer of more than ${MAX_MESSAGE_BYTES} bytes`) : null, chunk)
    },
  })
  answer.on('error', (error) => bounded.destroy(error))
  bounded.once('error', (error) => {
    answer.destroy()
    // Whoever reads it wants no more of it: that is no failure.
    if (error.name !== 'AbortError') onBroken(error)
  })
  bounded.once('close', () => answer.destroy())
  return Readable.toWeb(answer.pipe(bounded)) as ReadableStream<Uint8Array>
}

const headersOf = ({ headers }: IncomingMessage): [string, string][] =>
  Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
  )
