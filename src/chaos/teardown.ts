/**
 * Undoes what a run has set up, in reverse order, whether it ended well, failed or was interrupted.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/** A part that has not stopped by then is left to the watchdog, which ends it when this process is gone. */
const STOP_TIMEOUT_MS = 15_000

/** With `hurry` nothing is lost by not asking first. */
type Stop = (hurry: boolean) => void | Promise<void>

export class Teardown {
  readonly #stops: { readonly name: string; readonly stop: Stop }[] = []
  #running: Promise<void> | undefined

  add(name: string, stop: Stop): void {
    this.#stops.push({ name, stop })
  }

  /** Starts something and remembers how it is stopped, also when the run is interrupted while it starts. */
  async open<T extends { stop(): void | Promise<void> }>(name: string, starting: Promise<T>): Promise<T> {
    this.add(name, async () => {
      const started = await starting.catch(() => undefined) // Who waits for the start reports why it failed.
      await started?.stop()
    })
    return starting
  }

  /** Never rejects; may be called twice. */
  run(hurry = false): Promise<void> {
    this.#running ??= this.#run(hurry)
    return this.#running
  }

  async #run(hurry: boolean): Promise<void> {
    for (const { name, stop } of this.#stops.toReversed()) {
      const outcome = await Promise.race([
        attempt(() => stop(hurry)),
        sleep(STOP_TIMEOUT_MS, 'it takes too long', { ref: false }),
      ])
      if (outcome !== undefined) process.stderr.write(`${name} did not stop in order: ${outcome}\n`)
    }
  }
}

/** Why it failed, or undefined. */
async function attempt(stop: () => void | Promise<void>): Promise<string | undefined> {
  try {
    await stop()
    return undefined
  } catch (error) {
    return String(error)
  }
}
