/**
 * Who works next on this worker. Turns take slots, by the weight of their session's type; the rest wait: critical before
 * high before medium before low, and inside a priority tenants take turns, so that nobody's thousand tasks delay the first
 * task of somebody else.
 *
 *   priority ─▶ ring of tenants: each visit adds QUANTUM to what a tenant may take (deficit round robin) ─▶ first come first
 *
 * The one that is next waits until it fits, and nobody behind it passes: a heavy turn is not kept out by light ones. A lower
 * priority waits as long as higher ones want all slots. That is what priorities are asked for, and there is no ageing.
 */
import { PRIORITY_ORDER, type Priority } from '../protocol/schedule.js'
import type { SessionType } from '../protocol/session.js'

/** Slots of one turn: an llm session waits for its vendor, the others run programs of their own on this machine. */
export const SLOT_WEIGHTS: Readonly<Record<SessionType, number>> = {
  echo: 1,
  llm: 1,
  'claude-code': 4,
  'claude-flow': 8,
  ruflo: 8,
}
/** Slots that a tenant may take in one round: the lightest turn, so that tenants alternate as closely as they can. */
const QUANTUM = 1

export type ReleaseSlot = () => void

/** A turn that wants to run. */
export interface Applicant {
  readonly tenant: string
  readonly priority: Priority
  readonly type: SessionType
}

interface Waiting {
  /** Less than its type weighs where the whole worker holds less. */
  weight: number
  readonly type: SessionType
  readonly grant: (release: ReleaseSlot) => void
}

interface Tenant {
  readonly queue: Set<Waiting>
  /** Slots that it may take before the next one's turn. */
  deficit: number
  /** Whether this visit has added to it already. */
  credited: boolean
}

/** Tenants by name, in the order of their turns; the first is visited. */
type Ring = Map<string, Tenant>

export class TurnSlots {
  #capacity: number
  #maxTurns: number
  #free: number
  #waiting = 0
  #running = 0
  readonly #rings = new Map<Priority, Ring>(PRIORITY_ORDER.map((priority) => [priority, new Map()]))

  /** `maxTurns` bounds the turns that run at once, whatever they weigh. */
  constructor(capacity: number, maxTurns = Number.POSITIVE_INFINITY) {
    this.#capacity = capacity
    this.#maxTurns = maxTurns
    this.#free = capacity
  }

  get capacity(): number {
    return this.#capacity
  }

  /** From now on so much runs at once. What runs already goes on; where it is more, the next turns wait for it. */
  resize(capacity: number, maxTurns = Number.POSITIVE_INFINITY): void {
    this.#free += capacity - this.#capacity
    this.#capacity = capacity
    this.#maxTurns = maxTurns
    for (const waiting of this.#everybodyWaiting()) waiting.weight = this.#weightOf(waiting.type)
    this.#grantAll()
  }

  #everybodyWaiting(): Waiting[] {
    const tenants = [...this.#rings.values()].flatMap((ring) => [...ring.values()])
    return tenants.flatMap(({ queue }) => [...queue])
  }

  /** Turns that wait for a slot: at most one for each session with work. */
  get waiting(): number {
    return this.#waiting
  }

  /** Takes slots that are free now, unless others wait for them. */
  tryAcquire({ type }: Applicant): ReleaseSlot | undefined {
    const weight = this.#weightOf(type)
    return this.#waiting === 0 && this.#fits(weight) ? this.#take(weight) : undefined
  }

  /** Waits for slots. @throws the signal's reason when aborted while waiting. */
  acquire(applicant: Applicant, signal: AbortSignal): Promise<ReleaseSlot> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const giveUp = () => {
        this.#leave(applicant, waiting)
        reject(signal.reason)
      }
      const waiting: Waiting = {
        weight: this.#weightOf(applicant.type),
        type: applicant.type,
        grant: (release) => {
          signal.removeEventListener('abort', giveUp)
          resolve(release)
        },
      }
      signal.addEventListener('abort', giveUp, { once: true })
      this.#join(applicant, waiting)
      this.#grantAll()
    })
  }

  /** A turn that is heavier than the whole worker runs alone. */
  #weightOf(type: SessionType): number {
    return Math.min(SLOT_WEIGHTS[type], this.#capacity)
  }

  #fits(weight: number): boolean {
    return weight <= this.#free && this.#running < this.#maxTurns
  }

  #take(weight: number): ReleaseSlot {
    let held = true
    this.#free -= weight
    this.#running += 1
    return () => {
      if (!held) return
      held = false
      this.#free += weight
      this.#running -= 1
      this.#grantAll()
    }
  }

  #join({ tenant: name, priority }: Applicant, waiting: Waiting): void {
    const ring = this.#ring(priority)
    const tenant = ring.get(name) ?? { queue: new Set(), deficit: 0, credited: false }
    ring.set(name, tenant)
    tenant.queue.add(waiting)
    this.#waiting += 1
  }

  #leave({ tenant: name, priority }: Applicant, waiting: Waiting): void {
    const ring = this.#ring(priority)
    this.#remove(ring, name, waiting)
    // It may have been the heavy one that everybody waited behind.
    this.#grantAll()
  }

  /** A tenant without turns saves nothing up for later. */
  #remove(ring: Ring, name: string, waiting: Waiting): void {
    const tenant = ring.get(name)
    if (!tenant?.queue.delete(waiting)) return
    this.#waiting -= 1
    if (tenant.queue.size === 0) ring.delete(name)
  }

  #ring(priority: Priority): Ring {
    const ring = this.#rings.get(priority)
    if (!ring) throw new Error(`there is no priority ${priority}`)
    return ring
  }

  #grantAll(): void {
    for (const ring of this.#rings.values()) {
      for (let next = nextOf(ring); next; next = nextOf(ring)) {
        const { name, tenant, waiting } = next
        if (!this.#fits(waiting.weight)) return
        tenant.deficit -= waiting.weight
        this.#remove(ring, name, waiting)
        waiting.grant(this.#take(waiting.weight))
      }
    }
  }
}

/** Who is next in a ring. Each step of the loop adds a slot that is taken later: a grant costs as many steps as its weight. */
function nextOf(ring: Ring): { readonly name: string; readonly tenant: Tenant; readonly waiting: Waiting } | undefined {
  for (;;) {
    const [first] = ring
    if (!first) return undefined
    const [name, tenant] = first
    if (!tenant.credited) tenant.deficit += QUANTUM
    tenant.credited = true
    const [waiting] = tenant.queue
    if (waiting && waiting.weight <= tenant.deficit) return { name, tenant, waiting }
    tenant.credited = false
    ring.delete(name)
    ring.set(name, tenant)
  }
}
