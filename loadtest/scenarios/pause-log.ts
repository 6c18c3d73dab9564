/**
 * Reads in the workers' logs for how long shards were read by nobody: from the end of one epoch to the start of the next.
 */
interface Line {
  readonly time: number | string
  readonly shard: number
  readonly epoch: number
}

const STOPPED = '"a shard is not read here any more"'
const BEGUN = '"a shard is read here"'

export class PauseLog {
  /** By shard and the epoch that ended. */
  readonly #stopped = new Map<string, number>()
  readonly #begun = new Map<string, number>()

  /** In ms, one for each move that both owners have told of. */
  get ms(): readonly number[] {
    return [...this.#stopped].flatMap(([key, at]) => {
      const begun = this.#begun.get(key)
      return begun === undefined ? [] : [Math.max(0, begun - at)]
    })
  }

  clear(): void {
    this.#stopped.clear()
    this.#begun.clear()
  }

  /** Takes one line of a worker's log. Those of two workers may come in any order. */
  read(text: string): void {
    if (text.includes(STOPPED)) this.#note(this.#stopped, text, 0)
    if (text.includes(BEGUN)) this.#note(this.#begun, text, 1)
  }

  #note(moments: Map<string, number>, text: string, later: number): void {
    const { time, shard, epoch } = JSON.parse(text) as Line
    moments.set(`${shard}/${epoch - later}`, typeof time === 'number' ? time : Date.parse(time))
  }
}
