/**
 * web_fetch: one HTTP request to the public internet.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { z } from 'zod'
import { isPublicAddress, literalAddress, PrivateAddress, publicLookup } from './public-address.js'
import { defineTool, type Tool, ToolFailure, type ToolResult } from './tool.js'

export const MAX_BODY_BYTES = 256 * 1024
const DEFAULT_TIMEOUT_MS = 10_000
const MAX_TIMEOUT_MS = 60_000
const MAX_REDIRECTS = 5
const MAX_URL_CHARS = 8192
/** Framing and routing belong to the connection: a model that sets them could reach other hosts behind the same one. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'expect',
  'te',
  'trailer',
  'accept-encoding',
  'proxy-authorization',
])
/** Not carried to another origin by a redirect. */
const SECRET_HEADERS: ReadonlySet<string> = new Set(['authorization', 'cookie'])

export interface WebOptions {
  /** Allows loopback and private addresses; for tests, and for operators whose services live there. */
  readonly allowPrivateNetwork?: boolean
}

interface Hop {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
}

export function webFetch({ allowPrivateNetwork = false }: WebOptions = {}): Tool {
  return defineTool({
    name: 'web_fetch',
    description: `Fetches a public http or https URL. At most ${MAX_BODY_BYTES} bytes of the body are returned.`,
    input: z.object({
      url: z.string().min(1).max(MAX_URL_CHARS),
      method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']).default('GET'),
      headers: z.record(z.string(), z.string()).optional(),
      timeout: z.number().int().min(1).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS).describe('milliseconds'),
      idempotent: z
        .boolean()
        .optional()
        .describe('the server knows Idempotency-Key: an interrupted request may be sent once more under the same key'),
    }),
    effect: ({ method, idempotent }) => (isRead(method) ? 'read' : idempotent ? 'idempotent' : 'once'),
    async run({ url, method, headers = {}, timeout, idempotent = false }, { signal, idempotencyKey }) {
      const deadline = AbortSignal.timeout(timeout)
      const key = idempotent && !isRead(method) && idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }
      const hop = { url: parseUrl(url), method, headers: { ...ownHeadersOut(headers), ...key } }
      try {
        return await follow(hop, allowPrivateNetwork, AbortSignal.any([signal, deadline]))
      } catch (thrown) {
        signal.throwIfAborted()
        throw deadline.aborted ? new ToolFailure(`No complete answer within ${timeout} ms`) : failureOf(thrown)
      }
    },
  })
}

const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD'

async function follow(first: Hop, allowPrivate: boolean, signal: AbortSignal): Promise<ToolResult> {
  let hop = first
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await send(hop, allowPrivate, signal)
    const next = redirectOf(hop, response)
    if (next === undefined) return await resultOf(hop, response)
    response.destroy()
    hop = next
  }
  throw new ToolFailure(`More than ${MAX_REDIRECTS} redirects`)
}

function send(hop: Hop, allowPrivate: boolean, signal: AbortSignal): Promise<IncomingMessage> {
  // The lookup hook sees names only; an address written out is checked here, on each hop.
  const literal = literalAddress(hop.url.hostname)
  if (!allowPrivate && literal !== undefined && !isPublicAddress(literal)) throw new PrivateAddress(literal)
  const request = hop.url.protocol === 'https:' ? httpsRequest : httpRequest
  const lookup: { lookup?: LookupFunction } = allowPrivate ? {} : { lookup: publicLookup }
  return new Promise((resolve, reject) => {
    request(hop.url, {
      method: hop.method,
      headers: { 'user-agent': 'orchestrator-daemon', accept: '*/*', ...hop.headers, 'accept-encoding': 'identity' },
      // No pool: a pooled connection could be one that was made under another rule.
      agent: false,
      signal,
      ...lookup,
    })
      .once('response', resolve)
      .once('error', reject)
      .end()
  })
}

/** Where a redirect leads, as browsers follow it: 301, 302 and 303 turn a POST into a GET. */
function redirectOf({ url, method, headers }: Hop, response: IncomingMessage): Hop | undefined {
  const status = response.statusCode ?? 0
  const location = response.headers.location
  if (location === undefined || ![301, 302, 303, 307, 308].includes(status)) return undefined
  const next = parseUrl(location, url)
  const kept = Object.entries(headers).filter(([name]) => next.origin === url.origin || !SECRET_HEADERS.has(name))
  const becomesGet = method !== 'HEAD' && (status === 303 || (method === 'POST' && status < 303))
  return { url: next, method: becomesGet ? 'GET' : method, headers: Object.fromEntries(kept) }
}

async function resultOf({ url }: Hop, response: IncomingMessage): Promise<ToolResult> {
  const chunks: Buffer[] = []
  let size = 0
  let truncated = false
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk.subarray(0, MAX_BODY_BYTES - size))
    truncated = size + chunk.length > MAX_BODY_BYTES
    size = Math.min(size + chunk.length, MAX_BODY_BYTES)
    if (truncated) break
  }
  return {
    url: url.href,
    statusCode: response.statusCode ?? 0,
    statusMessage: response.statusMessage ?? '',
    headers: response.headers,
    body: new TextDecoder(charsetOf(response)).decode(Buffer.concat(chunks)),
    size,
    ...(truncated && { truncated: true, note: `only the first ${MAX_BODY_BYTES} bytes of the body` }),
  }
}

function charsetOf(response: IncomingMessage): string {
  const charset = /charset="?([\w-]+)/i.exec(response.headers['content-type'] ?? '')?.[1] ?? 'utf-8'
  try {
    return new TextDecoder(charset).encoding
  } catch {
    return 'utf-8' // A charset nobody knows: most of the text is ASCII anyway.
  }
}

function parseUrl(text: string, base?: URL): URL {
  if (!URL.canParse(text, base?.href))
    throw new ToolFailure(`${text} is no URL; write it in full, as https://host/path`)
  const url = new URL(text, base)
  if (url.protocol === 'http:' || url.protocol === 'https:') return url
  throw new ToolFailure(`Only http and https URLs can be fetched, not ${url.protocol}`)
}

function ownHeadersOut(headers: Readonly<Record<string, string>>): Record<string, string> {
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const)
  return Object.fromEntries(lower.filter(([name]) => !OWN_HEADERS.has(name)))
}

/** Node's network and header errors in one sentence; the model may try another URL. */
function failureOf(thrown: unknown): unknown {
  if (thrown instanceof ToolFailure) return thrown
  if (thrown instanceof PrivateAddress) return new ToolFailure(thrown.message)
  if (!(thrown instanceof Error) || !('code' in thrown)) return thrown
  return new ToolFailure(`The request failed: ${thrown.message || String(thrown.code)}`)
}
