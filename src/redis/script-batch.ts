/**
 * Gathers what is asked of one script within a turn of the event loop, and asks it all in one call. A call costs the
 * server and this process more than the work of a small item, so gathering is most of what a busy node saves.
 *
 *   run(item) ─┐
 *   run(item) ─┼─ end of the turn ─▶ one EVALSHA: head, then the arguments of each item ─▶ one reply for each
 *   run(item) ─┘
 */
import { leaveDemoted, type RedisClient } from './connect.js'
import type { Argument, Script } from './script.js'

const ERROR = 'error '
const DEMOTED = 'READONLY'

export interface BatchOptions {
  /** Arguments that stand before those of the items, for a key base. */
  readonly head: (base: string) => readonly Argument[]
  /** Items in one call: bounds how long the server is busy with it. */
  readonly items: number
  /** Characters of arguments in one call; a single larger item goes alone. */
  readonly chars: number
  /** The error for an item that the server refused, from the server's words. */
  readonly refused: (words: string) => Error
  /** How many values follow the first one of an item's reply; none when left out. */
  readonly following?: (first: string) => number
}

/** The first value is a line of words; a line that starts with `error` never gets here. */
export type ItemReply = readonly [line: string, ...values: string[]]

interface Item {
  readonly key: string
  readonly args: readonly Argument[]
  readonly resolve: (reply: ItemReply) => void
  readonly reject: (error: unknown) => void
}

interface Group {
  readonly items: Item[]
  chars: number
}

export class ScriptBatch {
  /** Groups that are open in this turn, by what their keys share. */
  readonly #open = new Map<string, Group>()
  #scheduled = false

  constructor(
    private readonly client: RedisClient,
    private readonly script: Script,
    private readonly options: BatchOptions,
  ) {}

  /**
   * Runs the script for one item; its `key` and those of all items of a `base` share a hash tag. The script gets the items
   * of a base in the order of the calls and answers each, with `error` where the server refused that one alone.
   * @throws what the connection or the server says; the item may then have run or not.
   */
  run(base: string, key: string, args: readonly Argument[]): Promise<ItemReply> {
    return new Promise((resolve, reject) => {
      const chars = args.reduce<number>((sum, it) => sum + (typeof it === 'string' ? it.length : 0), 0)
      const group = this.#roomFor(base, chars)
      group.items.push({ key, args, resolve, reject })
      group.chars += chars
      if (group.items.length >= this.options.items) this.#send(base)
    })
  }

  #roomFor(base: string, chars: number): Group {
    const open = this.#open.get(base)
    if (open && open.chars + chars <= this.options.chars) return open
    if (open) this.#send(base)
    const group = { items: [], chars: 0 }
    this.#open.set(base, group)
    if (!this.#scheduled) {
      this.#scheduled = true
      setImmediate(() => this.#sendAll())
    }
    return group
  }

  #sendAll(): void {
    this.#scheduled = false
    for (const base of [...this.#open.keys()]) this.#send(base)
  }

  #send(base: string): void {
    const items = this.#open.get(base)?.items ?? []
    this.#open.delete(base)
    if (items.length > 0) void this.#call(base, items)
  }

  async #call(base: string, items: readonly Item[]): Promise<void> {
    const [first] = items
    if (!first) return
    try {
      const args = items.flatMap((it) => it.args)
      const replies = await this.script.run(this.client, first.key, ...this.options.head(base), ...args)
      this.#answer(items, replies as readonly string[])
    } catch (error) {
      for (const it of items) it.reject(error)
    }
  }

  /** A server that is a replica now refuses all alike: that says nothing of an item, which belongs to the other server. */
  #failure(words: string): Error {
    if (!words.startsWith(DEMOTED)) return this.options.refused(words)
    leaveDemoted(this.client)
    return new Error(words)
  }

  #answer(items: readonly Item[], replies: readonly string[]): void {
    let at = 0
    for (const it of items) {
      const line = replies[at] ?? ''
      const end = at + 1 + (this.options.following?.(line) ?? 0)
      if (line.startsWith(ERROR)) it.reject(this.#failure(line.slice(ERROR.length)))
      else it.resolve([line, ...replies.slice(at + 1, end)])
      at = end
    }
  }
}
