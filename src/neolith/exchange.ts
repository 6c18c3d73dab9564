/**
 * One request to Neolith and the answer to it, within a time and a size, and what is known of its fate when it fails.
 */
import { CALLS, type Call, type CallName } from './calls.js'
import { errorOf, NeolithError, OWN_CODES, requestFailed, withoutSecrets } from './neolith-error.js'

/** A hundred long messages have less. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** These happen before anything is sent. */
const NOT_SENT = [
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'],
  ...['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
]

export interface NeolithRequest {
  readonly call: CallName
  /** Of the path. */
  readonly parameters?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly body?: object
  /** What of it must not be seen in an error. */
  readonly hidden?: readonly string[]
}

export interface ExchangeOptions {
  readonly baseUrl: string
  readonly timeoutMs: number
  readonly token: string | undefined
  /** Never to be seen in an error. */
  readonly secrets: readonly string[]
  /** Ends the request early. */
  readonly signal: AbortSignal
}

export interface Answer {
  readonly body: unknown
  /** Of the server's clock, in ms since 1970; undefined where it does not say. */
  readonly at: number | undefined
}

/** @throws NeolithError, and nothing else */
export async function exchange(request: NeolithRequest, options: ExchangeOptions): Promise<Answer> {
  const late = AbortSignal.timeout(options.timeoutMs)
  try {
    const response = await fetch(urlOf(request, options.baseUrl), {
      method: CALLS[request.call].method,
      headers: headersOf(request, options.token),
      ...(request.body && { body: JSON.stringify(request.body) }),
      // A token is for this server alone, wherever it points to.
      redirect: 'manual',
      signal: AbortSignal.any([options.signal, late]),
    })
    const text = await textOf(response)
    return answerOf(request.call, response, text, options.secrets)
  } catch (error) {
    if (error instanceof NeolithError) throw error
    throw failureOf(request.call, error, late.aborted, options)
  }
}

function urlOf({ call, parameters = {}, query = {} }: NeolithRequest, baseUrl: string): URL {
  const { path }: Call = CALLS[call]
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(parameters[name] ?? ''))
  const url = new URL(`${baseUrl.replace(/\/+$/, '')}${filled}`)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value))
  }
  return url
}

const headersOf = ({ body }: NeolithRequest, token: string | undefined): Record<string, string> => ({
  accept: 'application/json',
  ...(body && { 'content-type': 'application/json' }),
  ...(token !== undefined && { authorization: `Bearer ${token}` }),
})

/** @throws RangeError for one that is too long */
async function textOf({ body }: Response): Promise<string> {
  if (!body) return ''
  const pieces: Uint8Array[] = []
  let bytes = 0
  // Leaving the loop cancels the rest.
  for await (const piece of body as unknown as AsyncIterable<Uint8Array>) {
    bytes += piece.byteLength
    if (bytes > MAX_ANSWER_BYTES) throw new RangeError(`more than ${MAX_ANSWER_BYTES} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}

function answerOf(call: CallName, response: Response, text: string, secrets: readonly string[]): Answer {
  const { status } = response
  const body = parsed(text)
  if (!response.ok) throw refusalOf(call, response, body, secrets)
  if (body === undefined) throw invalidAnswer(call, `status ${status} without JSON`)
  const at = Date.parse(response.headers.get('date') ?? '')
  return { body, at: Number.isNaN(at) ? undefined : at }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // No JSON: undefined is no JSON either.
  }
}

/** Neolith did what it was asked for, as far as its status says, and told it in a way that is not understood. */
export const invalidAnswer = (call: CallName, what: string): NeolithError =>
  new NeolithError(OWN_CODES.invalidAnswer, requestFailed(`an answer that is none: ${what}`, OWN_CODES.invalidAnswer), {
    ...{ call, mayBeTaken: true, retryable: true },
  })

function refusalOf(call: CallName, response: Response, body: unknown, secrets: readonly string[]): NeolithError {
  const { status, headers } = response
  const { error, code } = errorOf(body) ?? { error: `status ${status}`, code: codeOf(status) }
  const retryAfterMs = retryAfterOf(headers.get('retry-after'))
  // Whoever answers 5xx may have done half of it, or stands before somebody who has done it all.
  const broken = status >= 500 || status === 408
  return new NeolithError(code, requestFailed(withoutSecrets(error, secrets), code), {
    ...{ call, status, mayBeTaken: broken, retryable: broken || status === 429 || status === 401 },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}

function codeOf(status: number): string {
  if (status === 429) return OWN_CODES.rateLimited
  return status >= 300 && status < 400 ? OWN_CODES.redirect : `HTTP_${status}`
}

/** Seconds, or a date. */
function retryAfterOf(header: string | null): number | undefined {
  if (header === null) return undefined
  const seconds = /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now()
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds)
}

function failureOf(call: CallName, error: unknown, late: boolean, options: ExchangeOptions): NeolithError {
  const { timeoutMs, signal } = options
  const failure = (code: string, text: string, mayBeTaken: boolean, retryable = true): NeolithError =>
    new NeolithError(code, requestFailed(text, code), { call, mayBeTaken, retryable })
  if (signal.aborted) return failure(OWN_CODES.stopped, 'this process stops', true, false)
  if (late) return failure(OWN_CODES.timeout, `no answer in ${timeoutMs} ms`, true)
  if (error instanceof RangeError) return invalidAnswer(call, error.message)
  const reason = reasonOf(error)
  if (NOT_SENT.includes(reason)) return failure(OWN_CODES.unreachable, `no connection: ${reason}`, false)
  return failure(OWN_CODES.connectionLost, `the connection was lost: ${reason}`, true)
}

/** The code alone: sentences of the network's errors name what was sent. */
function reasonOf(error: unknown): string {
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    const { code } = each as NodeJS.ErrnoException
    if (typeof code === 'string') return code
  }
  return 'unknown'
}
