/**
 * Lets a bounded number of jobs run at once; the others wait their turn.
 */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async run<T>(job: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await job()
    } finally {
      // The slot goes from hand to hand: a newcomer cannot overtake those who wait.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free += 1
    }
  }
}
