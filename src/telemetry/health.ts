/**
 * Whether this process can do its work: probes by name, asked together, each within a time limit.
 */

export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy'

export interface ProbeResult {
  readonly status: 'healthy' | 'unhealthy'
  readonly durationMs: number
  /** Why it failed, in one sentence. */
  readonly error?: string
}

export interface HealthReport {
  readonly status: HealthStatus
  readonly checks: Readonly<Record<string, ProbeResult>>
}

/** Resolves when the part works, throws when it does not. */
export type Probe = () => Promise<void>

interface Registered {
  readonly probe: Probe
  readonly critical: boolean
}

export interface Readiness {
  readonly ready: boolean
  readonly message: string
}

/** A part that answers later is of no use to a request that waits for it. */
const DEFAULT_TIMEOUT_MS = 5_000

export class Health {
  readonly #timeoutMs: number
  readonly #probes = new Map<string, Registered>()
  #running: Promise<HealthReport> | undefined
  #readiness: Readiness = { ready: false, message: 'starting' }

  constructor(timeoutMs = DEFAULT_TIMEOUT_MS) {
    this.#timeoutMs = timeoutMs
  }

  /** Adds a part. When a critical one fails, the process is unhealthy; when another fails, degraded. */
  register(name: string, probe: Probe, { critical = true }: { critical?: boolean } = {}): void {
    if (this.#probes.has(name)) throw new Error(`there is a health probe ${name} already`)
    this.#probes.set(name, { probe, critical })
  }

  /** Says whether new work may be sent here, and why not: `starting`, `draining`. */
  setReadiness(readiness: Readiness): void {
    this.#readiness = readiness
  }

  /** Asks all probes. Callers that come meanwhile share the answer, so a flood of checks costs no more than one. */
  check(): Promise<HealthReport> {
    this.#running ??= this.#ask().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Ready when the process says so and no critical part fails. */
  async readiness(): Promise<Readiness> {
    if (!this.#readiness.ready) return this.#readiness
    const { status, checks } = await this.check()
    if (status !== 'unhealthy') return this.#readiness
    const failed = Object.keys(checks).filter((name) => checks[name]?.status === 'unhealthy')
    return { ready: false, message: `not working: ${failed.join(', ')}` }
  }

  async #ask(): Promise<HealthReport> {
    const entries = [...this.#probes]
    const results = await Promise.all(entries.map(([, { probe }]) => ask(probe, this.#timeoutMs)))
    const failed = entries.filter((_entry, index) => results[index]?.status === 'unhealthy').map(([, entry]) => entry)
    const status = failed.some(({ critical }) => critical) ? 'unhealthy' : failed.length > 0 ? 'degraded' : 'healthy'
    const checks = Object.fromEntries(entries.map(([name], index) => [name, results[index]]))
    return { status, checks: checks as Record<string, ProbeResult> }
  }
}

async function ask(probe: Probe, timeoutMs: number): Promise<ProbeResult> {
  const startedAt = performance.now()
  const durationMs = (): number => Math.round(performance.now() - startedAt)
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    await Promise.race([probe(), timeout])
    return { status: 'healthy', durationMs: durationMs() }
  } catch (error) {
    return {
      status: 'unhealthy',
      durationMs: durationMs(),
      error: error instanceof Error ? error.message : String(error),
    }
  } finally {
    clearTimeout(timer)
  }
}
