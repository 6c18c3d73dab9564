/**
 * Asks those who wrote a shard before this worker to put back what they remember, before it is claimed here in a store that
 * has lost writes: what a former owner wrote came first, and after the claim the store refuses it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Claim } from '../bus/bus.js'
import type { ControlMessage } from '../cluster/cluster.js'
import type { NodeId } from '../protocol/ids.js'

/** A word may be lost with the store that carried it. */
const REPEAT_MS = 250
/** 4 s: one that has died is known to be dead by then. The shard stands still meanwhile. */
const MOST_WORDS = 16

export type Replayed = Extract<ControlMessage, { type: 'replayed' }>

export interface FormerOwnersOptions {
  readonly node: NodeId
  readonly send: (to: NodeId, message: ControlMessage) => Promise<void>
  /** Puts back what this node itself wrote to a shard under lower epochs. */
  readonly putBack: (shard: number, epoch: number) => Promise<boolean>
  /** Whether a node is known to have ended. */
  readonly hasEnded: (node: NodeId) => Promise<boolean>
}

export class FormerOwners {
  readonly #asked = new Map<string, (whole: boolean) => void>()

  constructor(private readonly options: FormerOwnersOptions) {}

  /** True when each of them has put everything back. @throws when Postgres does not answer */
  async ask(claim: Claim, formers: Iterable<NodeId>): Promise<boolean> {
    const answers = await Promise.all([...formers].map((node) => this.#ask(claim, node)))
    return answers.every((whole) => whole)
  }

  answered({ node, shard, epoch, whole }: Replayed): void {
    this.#asked.get(keyOf(node, shard, epoch))?.(whole)
  }

  async #ask({ shard, epoch }: Claim, node: NodeId): Promise<boolean> {
    if (node === this.options.node) return await this.options.putBack(shard, epoch)
    if (await this.options.hasEnded(node)) return false
    const key = keyOf(node, shard, epoch)
    const answer = new Promise<boolean>((resolve) => this.#asked.set(key, resolve))
    try {
      return await this.#untilAnswered(answer, node, { type: 'replay', shard, epoch, asker: this.options.node })
    } finally {
      this.#asked.delete(key)
    }
  }

  async #untilAnswered(answer: Promise<boolean>, node: NodeId, message: ControlMessage): Promise<boolean> {
    for (let words = 0; words < MOST_WORDS; words++) {
      // A store that is away loses the word; it is said again.
      this.options.send(node, message).catch(() => undefined)
      const given = await Promise.race([answer, sleep(REPEAT_MS, undefined, { ref: false })])
      if (given !== undefined) return given
    }
    return false
  }
}

const keyOf = (node: NodeId, shard: number, epoch: number): string => `${node} ${shard} ${epoch}`
