/**
 * Output of a program, of which only the beginning and the end are kept: errors stand at either.
 */
export class BoundedOutput {
  readonly #half: number
  readonly #head: Buffer[] = []
  #headBytes = 0
  #tail: Buffer[] = []
  #tailBytes = 0
  #total = 0

  /** @param maxBytes kept at most, half of it from the beginning. */
  constructor(maxBytes: number) {
    this.#half = Math.floor(maxBytes / 2)
  }

  get isCut(): boolean {
    return this.#total > this.#headBytes + this.#tailLength()
  }

  add(chunk: Buffer): void {
    this.#total += chunk.length
    const room = this.#half - this.#headBytes
    if (room > 0) {
      this.#head.push(chunk.subarray(0, room))
      this.#headBytes += Math.min(room, chunk.length)
    }
    if (chunk.length > room) this.#addTail(chunk.subarray(Math.max(room, 0)))
  }

  #addTail(chunk: Buffer): void {
    this.#tail.push(chunk)
    this.#tailBytes += chunk.length
    // Joined only when twice too long: each byte is copied about once, however small the chunks are.
    if (this.#tailBytes > 2 * this.#half) this.#compact()
  }

  #compact(): void {
    const joined = Buffer.concat(this.#tail)
    // A copy: a slice would keep the whole of what was joined in memory.
    this.#tail = [Buffer.from(joined.subarray(Math.max(0, joined.length - this.#half)))]
    this.#tailBytes = this.#tailLength()
  }

  #tailLength(): number {
    return Math.min(this.#half, this.#tailBytes)
  }

  /** What was kept as UTF-8, with a line that says how much is missing. */
  text(): string {
    const head = Buffer.concat(this.#head)
    const tail = Buffer.concat(this.#tail)
    const kept = tail.subarray(Math.max(0, tail.length - this.#half))
    const missing = this.#total - head.length - kept.length
    if (missing === 0) return Buffer.concat([head, kept]).toString('utf8')
    return `${head.toString('utf8')}\n… [${missing} bytes left out] …\n${kept.toString('utf8')}`
  }
}
