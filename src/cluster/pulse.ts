/**
 * What the main loop and the beat thread tell each other, in shared memory: it works while the main loop is stuck, and
 * reading it before an effect costs nothing.
 *
 *   main loop → thread   when it last ran, its load, whether it drains
 *   thread → main loop   when the last acknowledged beat was sent
 */
import type { NodeLoad } from './cluster.js'

/** How often the main loop shows that it runs. */
export const TICK_MS = 100
/** Without an acknowledged beat for this long no effect may start: a second before others may declare us dead. */
const EFFECT_WINDOW_MS = 2_000
/** After this long commands are suspended: half a second before others may run them again. */
const COMMAND_WINDOW_MS = 2_500

const NS_PER_MS = 1_000_000n
const SLOT = { tickedAt: 0, acknowledgedAt: 1, busy: 2, capacity: 3, queued: 4, draining: 5 } as const
type Slot = (typeof SLOT)[keyof typeof SLOT]

/** Monotonic, in ms, and the same in all threads of the process; `performance.now()` starts anew in each. */
const now = (): bigint => process.hrtime.bigint() / NS_PER_MS

export class Pulse {
  readonly #slots: BigInt64Array

  /** `memory` comes from the `memory` of the other side's pulse. */
  constructor(readonly memory = new SharedArrayBuffer(Object.keys(SLOT).length * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.#slots = new BigInt64Array(memory)
  }

  tick(): void {
    this.#set(SLOT.tickedAt, now())
  }

  /** For how long the main loop has been overdue, in ms. */
  lagMs(): number {
    return Math.max(0, Number(now() - this.#get(SLOT.tickedAt)) - TICK_MS)
  }

  /** The moment to hand to `acknowledge` when the beat that is sent now is answered. */
  sentNow(): bigint {
    return now()
  }

  acknowledge(sentAt: bigint): void {
    this.#set(SLOT.acknowledgedAt, sentAt)
  }

  /** Ends the right to start effects at once. */
  lapse(): void {
    this.#set(SLOT.acknowledgedAt, 0n)
  }

  mayStartEffects(): boolean {
    const sentAt = this.#get(SLOT.acknowledgedAt)
    return sentAt !== 0n && now() - sentAt < EFFECT_WINDOW_MS
  }

  /** For how many ms commands may still run; not positive when they may not. */
  commandsLeftMs(): number {
    return Number(this.#get(SLOT.acknowledgedAt) + BigInt(COMMAND_WINDOW_MS) - now())
  }

  get load(): NodeLoad {
    return {
      busy: Number(this.#get(SLOT.busy)),
      capacity: Number(this.#get(SLOT.capacity)),
      queued: Number(this.#get(SLOT.queued)),
    }
  }

  set load(load: NodeLoad) {
    this.#set(SLOT.busy, BigInt(Math.round(load.busy)))
    this.#set(SLOT.capacity, BigInt(Math.round(load.capacity)))
    this.#set(SLOT.queued, BigInt(Math.round(load.queued)))
  }

  get draining(): boolean {
    return this.#get(SLOT.draining) === 1n
  }

  set draining(draining: boolean) {
    this.#set(SLOT.draining, draining ? 1n : 0n)
  }

  #get(slot: Slot): bigint {
    return Atomics.load(this.#slots, slot)
  }

  #set(slot: Slot, value: bigint): void {
    Atomics.store(this.#slots, slot, value)
  }
}
