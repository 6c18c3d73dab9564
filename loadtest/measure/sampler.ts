/**
 * What each process uses while a load runs, time after time.
 */
import { cpuTimes, type Members, residentByName } from './processes.js'

const US_PER_SECOND = 1_000_000
const BYTES_PER_MB = 1_000_000
const MS_PER_SECOND = 1_000

export interface Sample {
  /** Since the first one. */
  readonly second: number
  /** Cores in use since the sample before, by process. */
  readonly cores: Readonly<Record<string, number>>
  readonly residentMb: Readonly<Record<string, number>>
}

export class Sampler {
  readonly samples: Sample[] = []
  readonly #members: Members
  readonly #timer: NodeJS.Timeout
  readonly #startedAt = performance.now()
  #at = this.#startedAt
  #cpu: Readonly<Record<string, number>>

  /** Reading /proc costs some ms of a core: an `intervalMs` of seconds is meant. */
  constructor(members: Members, intervalMs: number) {
    this.#members = members
    this.#cpu = cpuTimes(members)
    this.#timer = setInterval(() => this.#take(), intervalMs)
  }

  stop(): readonly Sample[] {
    clearInterval(this.#timer)
    return this.samples
  }

  #take(): void {
    const [at, cpu, bytes] = [performance.now(), cpuTimes(this.#members), residentByName(this.#members)]
    const seconds = (at - this.#at) / MS_PER_SECOND
    const coresOf = (name: string): number => ((cpu[name] ?? 0) - (this.#cpu[name] ?? 0)) / US_PER_SECOND / seconds
    this.samples.push({
      second: (at - this.#startedAt) / MS_PER_SECOND,
      cores: Object.fromEntries(Object.keys(cpu).map((name) => [name, coresOf(name)])),
      residentMb: Object.fromEntries(Object.entries(bytes).map(([name, value]) => [name, value / BYTES_PER_MB])),
    })
    this.#at = at
    this.#cpu = cpu
  }
}
