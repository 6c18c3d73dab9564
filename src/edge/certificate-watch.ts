/**
 * Looks whether there is another certificate in the files: whatever renews them need not tell anybody.
 */
import type { EdgeLog } from './dependencies.js'

/** A certificate is renewed days before it ends; reading two small files costs nothing. */
const LOOK_MS = 60_000

export class CertificateWatch {
  readonly #renew: () => Promise<void>
  readonly #trace: Pick<EdgeLog, 'warn'>
  readonly #lookMs: number
  #timer: NodeJS.Timeout | undefined
  /** Said once, until it is something else. */
  #complaint = ''

  constructor(renew: () => Promise<void>, trace: Pick<EdgeLog, 'warn'>, lookMs = LOOK_MS) {
    this.#renew = renew
    this.#trace = trace
    this.#lookMs = lookMs
  }

  start(): void {
    this.#timer = setInterval(() => void this.#look(), this.#lookMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    const complaint = await this.#renew().then(
      () => '',
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    )
    // Half of a renewal may be written: the next look finds the other half.
    if (complaint !== '' && complaint !== this.#complaint) {
      this.#trace.warn({ reason: complaint }, 'the new certificate is not taken up, the one in use stays')
    }
    this.#complaint = complaint
  }
}
