/**
 * Asks all workers to let sessions at rest leave Redis. They do so by themselves too; asked, they do it together and say
 * when it is done.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ControlChannel } from '../../cluster/cluster.js'
import type { NodeId } from '../../protocol/ids.js'
import type { Job } from '../jobs.js'

const EVERY_MS = 300_000
/** A word may be lost, and a worker may have much to do. */
const ASK_AGAIN_MS = 5_000
const MAX_ASKS = 6
const LOOK_MS = 50

export interface HibernateDependencies {
  /** This node, which the workers answer. */
  readonly id: NodeId
  readonly control: Pick<ControlChannel, 'send'>
  readonly workers: () => readonly NodeId[]
}

export class HibernateJob implements Job {
  readonly name = 'hibernate'
  readonly everyMs = EVERY_MS
  #request = ''
  readonly #silent = new Set<NodeId>()

  constructor(private readonly deps: HibernateDependencies) {}

  /** @throws when a worker that lives has not answered in the end. */
  async run(signal: AbortSignal): Promise<void> {
    this.#request = randomUUID()
    this.#silent.clear()
    for (const id of this.deps.workers()) this.#silent.add(id)
    for (let asks = 0; asks < MAX_ASKS && this.#silent.size > 0 && !signal.aborted; asks++) await this.#ask(signal)
    const living = new Set(this.deps.workers())
    const silent = [...this.#silent].filter((id) => living.has(id))
    if (silent.length > 0 && !signal.aborted) throw new Error(`no answer from ${silent.join(', ')}`)
  }

  /** A worker has done what a request asked for. */
  acknowledged(node: NodeId, request: string): void {
    if (request === this.#request) this.#silent.delete(node)
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { id: asker, control } = this.deps
    const word = { type: 'hibernate', request: this.#request, asker } as const
    await Promise.all([...this.#silent].map((id) => control.send(id, word)))
    const deadline = performance.now() + ASK_AGAIN_MS
    while (this.#silent.size > 0 && !signal.aborted && performance.now() < deadline) await sleep(LOOK_MS)
  }
}
