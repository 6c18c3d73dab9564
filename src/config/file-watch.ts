/**
 * Notices when files change, by looking at them once a second: that also sees a file which is replaced whole, as editors
 * and Kubernetes do it, one that is not there yet, and one on a network's disk.
 */
import { type Stats, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'

const LOOK_EVERY_MS = 1_000
/** A file that is being written is told of when this long nothing came any more. */
const SETTLE_MS = 250

export class FileWatch {
  readonly #onChange: (path: string) => void
  readonly #everyMs: number
  /** What each file looked like last. */
  readonly #seen = new Map<string, string>()
  #timer: NodeJS.Timeout | undefined
  #settling: NodeJS.Timeout | undefined
  #isLooking = false

  /** Of files that change together the last one is told. Does not keep the process. */
  constructor(onChange: (path: string) => void, everyMs = LOOK_EVERY_MS) {
    this.#onChange = onChange
    this.#everyMs = everyMs
  }

  /** These files, as they are now, and no others any more. */
  watch(paths: readonly string[]): void {
    for (const path of [...this.#seen.keys()]) if (!paths.includes(path)) this.#seen.delete(path)
    for (const path of paths) {
      if (!this.#seen.has(path)) this.#seen.set(path, looksOf(statSync(path, { throwIfNoEntry: false })))
    }
    this.#timer ??= setInterval(() => void this.#look(), this.#everyMs).unref()
  }

  /** May be called twice. */
  stop(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#settling)
    this.#timer = undefined
    this.#seen.clear()
  }

  async #look(): Promise<void> {
    // A disk that is away is waited for once.
    if (this.#isLooking) return
    this.#isLooking = true
    for (const [path, before] of [...this.#seen]) {
      const now = looksOf(await stat(path).catch(() => undefined))
      if (now === before || !this.#seen.has(path)) continue
      this.#seen.set(path, now)
      this.#changed(path)
    }
    this.#isLooking = false
  }

  #changed(path: string): void {
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => this.#onChange(path), SETTLE_MS)
    this.#settling.unref()
  }
}

const looksOf = (stats: Stats | undefined): string =>
  stats === undefined ? 'not there' : [stats.dev, stats.ino, stats.size, stats.mtimeMs].join(' ')
