/**
 * The way to Neolith: breaker, quiet times that it asked for, and repetitions of what may be repeated. What it may never do
 * is send twice what would take effect twice.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Breaker, BreakerState } from './breaker.js'
import { CALLS, type CallName } from './calls.js'
import { type Answer, exchange, invalidAnswer, type NeolithRequest } from './exchange.js'
import { NeolithError, OWN_CODES, requestFailed } from './neolith-error.js'

/** A pause that is longer is the caller's, who has better things to do. */
const MAX_PAUSE_MS = 10_000

export type CallOutcome =
  | 'ok'
  | 'refused'
  | 'unauthorized'
  | 'rate_limited'
  | 'server_error'
  | 'timeout'
  | 'unreachable'
  | 'connection_lost'
  | 'invalid_answer'
  | 'circuit_open'
  | 'stopped'

/** Told of every request, one by one. */
export type CallObserver = (call: CallName, outcome: CallOutcome, seconds: number) => void

/** Takes an answer apart; undefined when it is none. */
export type Reader<T> = (body: unknown) => T | undefined

export interface TransportOptions {
  readonly baseUrl: string
  readonly timeoutMs: number
  /** Requests that one call makes at most. */
  readonly attempts: number
  /** Before the second one; doubled with each. */
  readonly firstPauseMs: number
  /** Never to be seen in an error; the token of a call is known without being listed. */
  readonly secrets: readonly string[]
  readonly breaker: Breaker
  readonly observe: CallObserver
  /** Ends everything. */
  readonly signal: AbortSignal
}

export class Transport {
  readonly #options: TransportOptions
  /** Neolith wants to be left alone until then; monotonic. */
  #quietUntil = 0
  /** The server's clock less ours, in ms. */
  #offsetMs = 0

  constructor(options: TransportOptions) {
    this.#options = options
  }

  get breakerState(): BreakerState {
    return this.#options.breaker.state
  }

  /** The time by Neolith's clock, as far as it is known: ends of tokens and times of events are by that one. */
  serverNow(): number {
    return Date.now() + this.#offsetMs
  }

  /** Sends until it is answered, or must not be sent again. @throws NeolithError */
  async send<T>(request: NeolithRequest, read: Reader<T>, token?: string): Promise<T> {
    const { attempts, signal } = this.#options
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(request, read, token)
      } catch (error) {
        const pauseMs = error instanceof NeolithError ? this.#pauseAfter(error, attempt) : undefined
        if (pauseMs === undefined || attempt >= attempts) throw error
        await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => {
          throw error
        })
      }
    }
  }

  /** Undefined: what went wrong is not mended by sending it again from here. */
  #pauseAfter(error: NeolithError, attempt: number): number | undefined {
    const { call, code, mayBeTaken, retryable, status, retryAfterMs = 0 } = error
    if (call === undefined || !retryable || status === 401 || code === OWN_CODES.circuitOpen) return undefined
    if (mayBeTaken && !CALLS[call].repeatable) return undefined
    const backoffMs = this.#options.firstPauseMs * 2 ** (attempt - 1)
    const pauseMs = Math.max(retryAfterMs, backoffMs / 2 + (Math.random() * backoffMs) / 2)
    return pauseMs <= MAX_PAUSE_MS ? pauseMs : undefined
  }

  async #once<T>(request: NeolithRequest, read: Reader<T>, token: string | undefined): Promise<T> {
    const { observe, breaker } = this.#options
    const startedAt = performance.now()
    try {
      this.#admit(request.call)
      const value = read((await this.#exchange(request, token)).body)
      if (value === undefined) throw invalidAnswer(request.call, 'it lacks what it must have')
      breaker.succeeded()
      observe(request.call, 'ok', (performance.now() - startedAt) / 1_000)
      return value
    } catch (error) {
      if (!(error instanceof NeolithError)) throw error
      this.#learn(error)
      observe(request.call, outcomeOf(error), (performance.now() - startedAt) / 1_000)
      throw error
    }
  }

  /** @throws NeolithError when nothing is to be sent now */
  #admit(call: CallName): void {
    const quietMs = this.#quietUntil - performance.now()
    if (quietMs > 0) throw unsent(call, OWN_CODES.rateLimited, 'Neolith asked to be left alone', quietMs)
    const brokenMs = this.#options.breaker.admit()
    if (brokenMs !== undefined) throw unsent(call, OWN_CODES.circuitOpen, 'Neolith did not work lately', brokenMs)
  }

  async #exchange(request: NeolithRequest, token: string | undefined): Promise<Answer> {
    const { baseUrl, timeoutMs, secrets, signal } = this.#options
    const hidden = [...secrets, ...(request.hidden ?? []), ...(token === undefined ? [] : [token])]
    const answer = await exchange(request, { baseUrl, timeoutMs, token, secrets: hidden, signal })
    if (answer.at !== undefined) this.#offsetMs = answer.at - Date.now()
    return answer
  }

  #learn(error: NeolithError): void {
    const { breaker } = this.#options
    const { status, code, retryAfterMs } = error
    if (status === undefined && (code === OWN_CODES.rateLimited || code === OWN_CODES.circuitOpen)) return
    const answered = status !== undefined && status < 500
    if (answered) breaker.succeeded()
    else if (code !== OWN_CODES.stopped) breaker.failed()
    if (status === 429 || status === 503) this.#quietUntil = performance.now() + (retryAfterMs ?? 0)
  }
}

const unsent = (call: CallName, code: string, text: string, retryAfterMs: number): NeolithError =>
  new NeolithError(code, requestFailed(text, code), { call, mayBeTaken: false, retryable: true, retryAfterMs })

const BY_CODE: Readonly<Record<string, CallOutcome>> = {
  [OWN_CODES.timeout]: 'timeout',
  [OWN_CODES.unreachable]: 'unreachable',
  [OWN_CODES.connectionLost]: 'connection_lost',
  [OWN_CODES.invalidAnswer]: 'invalid_answer',
  [OWN_CODES.circuitOpen]: 'circuit_open',
  [OWN_CODES.rateLimited]: 'rate_limited',
  [OWN_CODES.stopped]: 'stopped',
}

function outcomeOf({ code, status }: NeolithError): CallOutcome {
  if (status === 401) return 'unauthorized'
  if (status === 429) return 'rate_limited'
  if (status !== undefined) return status >= 500 ? 'server_error' : 'refused'
  return BY_CODE[code] ?? 'connection_lost'
}
