/**
 * Tells a server of the operator's about alerts: signed, so that it knows who speaks, and again until it has heard. The
 * address comes from the settings alone, so what guards `web_fetch` from private addresses does not stand here.
 *
 *   X-Budget-Timestamp: seconds since 1970       X-Budget-Signature: sha256=<HMAC of "<timestamp>.<body>">
 */
import { createHmac, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BudgetAlert } from '../protocol/events.js'

export interface WebhookOptions {
  readonly url: string
  /** The setting that names it, for whoever reads why it was not told. */
  readonly setting: string
  /** What is sent instead of the alert as it is, for receivers that take something else. */
  readonly bodyOf?: (tenant: string, alert: BudgetAlert) => string
  /** Alerts go unsigned without one. */
  readonly secret: string | undefined
  readonly onOutcome: (outcome: 'delivered' | 'failed' | 'dropped') => void
  readonly onError: (error: unknown, alert: string) => void
  readonly firstPauseMs?: number
}

/** Alerts that wait; each is a few hundred bytes, and more than these are no news to anybody. */
const MAX_WAITING = 1_000
const ATTEMPTS = 6
const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 30_000
const TIMEOUT_MS = 10_000
/** For what waits when the process stops. */
const STOP_MS = 3_000

interface Delivery {
  /** The same in every attempt: the receiver can tell a repetition. */
  readonly id: string
  readonly body: string
}

export class Webhook {
  readonly #options: WebhookOptions
  readonly #waiting: Delivery[] = []
  readonly #ended = new AbortController()
  #sending: Promise<void> | undefined

  constructor(options: WebhookOptions) {
    this.#options = options
  }

  send(tenant: string, alert: BudgetAlert): void {
    if (this.#ended.signal.aborted) return
    if (this.#waiting.length >= MAX_WAITING) {
      this.#options.onOutcome('dropped')
      return
    }
    const id = randomUUID()
    const { bodyOf } = this.#options
    const body = bodyOf?.(tenant, alert) ?? JSON.stringify({ id, type: 'budget_alert', tenant, data: alert })
    this.#waiting.push({ id, body })
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
    })
  }

  /** Gives what waits a few seconds. May be called twice. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.#ended.abort(), STOP_MS)
    await this.#sending
    clearTimeout(timer)
    this.#ended.abort()
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      const delivered = await this.#deliver(next)
      this.#options.onOutcome(delivered ? 'delivered' : 'failed')
    }
  }

  async #deliver(delivery: Delivery): Promise<boolean> {
    let pauseMs = this.#options.firstPauseMs ?? FIRST_PAUSE_MS
    for (let attempt = 1; !this.#ended.signal.aborted; attempt++) {
      const failure = await this.#attempt(delivery)
      if (failure === undefined) return true
      if (attempt === ATTEMPTS) {
        this.#options.onError(failure, delivery.id)
        return false
      }
      await sleep(pauseMs / 2 + (Math.random() * pauseMs) / 2, undefined, { signal: this.#ended.signal }).catch(
        () => undefined, // The process ends.
      )
      pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)
    }
    return false
  }

  /** Why it was not heard. */
  async #attempt({ body }: Delivery): Promise<unknown> {
    const timestamp = String(Math.floor(Date.now() / 1_000))
    try {
      const answer = await fetch(this.#options.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-budget-timestamp': timestamp,
          ...this.#signed(timestamp, body),
        },
        body,
        // Nobody but the address of the settings is told.
        redirect: 'error',
        signal: AbortSignal.any([this.#ended.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      })
      await answer.body?.cancel()
      return answer.ok ? undefined : new Error(`the server of ${this.#options.setting} answered ${answer.status}`)
    } catch (error) {
      return error
    }
  }

  #signed(timestamp: string, body: string): Record<string, string> {
    const { secret } = this.#options
    if (secret === undefined) return {}
    const mac = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')
    return { 'x-budget-signature': `sha256=${mac}` }
  }
}
