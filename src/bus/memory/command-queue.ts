/**
 * Accepted commands of one session that wait or run, numbered so that those on disk can be told apart after a restart.
 */
export class CommandQueue {
  #bodies: string[] = []
  #first: number

  /** `first` is the number of the oldest command. */
  constructor(first = 0) {
    this.#first = first
  }

  get first(): number {
    return this.#first
  }

  get length(): number {
    return this.#bodies.length
  }

  get bodies(): readonly string[] {
    return [...this.#bodies]
  }

  /** Returns the number of the new command. */
  push(body: string): number {
    this.#bodies.push(body)
    return this.#first + this.#bodies.length - 1
  }

  /** Removes the oldest `count`. Returns their size in UTF-8 bytes. */
  pop(count: number): number {
    const bodies = this.#bodies.splice(0, count)
    this.#first += bodies.length
    return bodies.reduce((bytes, body) => bytes + Buffer.byteLength(body), 0)
  }
}
