/**
 * Sees to open delegations, its own and those whose watcher has died. A lease on the row says who does; it is renewed while
 * the process lives, and runs out by the database's clock when it does not.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DelegationRow, Delegations } from '../storage/delegations.js'
import { LeaseRounds } from '../storage/lease-rounds.js'
import { DelegationRun, type RunDependencies } from './delegation-run.js'

/** Between looks at what is due: the longest that a retry, a cancellation or a stranger's delegation waits here. */
const ROUND_MS = 1_000
/** Several rounds, so that a slow database takes nothing away; the longest that a dead watcher's delegations wait. */
const LEASE_MS = 6_000
/** Each is one connection inside the process and one session at work elsewhere. */
const MAX_RUNS = 256
/** How long a stop waits for runs to end; what they wait for goes on without them. */
const STOP_TIMEOUT_MS = 2_000

export interface DelegatorLog {
  warn(fields: object, text: string): void
}

export interface DelegatorDependencies extends Omit<RunDependencies, 'delegations'> {
  readonly id: string
  readonly delegations: RunDependencies['delegations'] & Pick<Delegations, 'claim' | 'renew' | 'letGo'>
  readonly log: DelegatorLog
}

interface Running {
  readonly row: DelegationRow
  readonly cancel: AbortController
  readonly abandon: AbortController
  readonly ended: Promise<void>
}

export class Delegator {
  readonly #deps: DelegatorDependencies
  readonly #runs = new Map<string, Running>()
  readonly #stopping = new AbortController()
  readonly #rounds: LeaseRounds
  #loop: Promise<void> | undefined

  constructor(deps: DelegatorDependencies) {
    this.#deps = deps
    this.#rounds = new LeaseRounds({
      round: () => this.#round(),
      pauseMs: ROUND_MS,
      onFailed: (err, isFirst) => {
        if (isFirst) deps.log.warn({ err }, 'delegations cannot be looked after until the database answers')
      },
    })
  }

  /** Delegations that this process sees to now. */
  get size(): number {
    return this.#runs.size
  }

  start(): void {
    this.#loop ??= this.#rounds.run(this.#stopping.signal)
  }

  /** Lets go of everything, so that others go on at once. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort()
    for (const { abandon } of this.#runs.values()) abandon.abort()
    const ended = Promise.all([this.#loop, ...[...this.#runs.values()].map((it) => it.ended)])
    await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })])
    await this.#deps.delegations.letGo(this.#deps.id).catch((err: unknown) => {
      this.#deps.log.warn({ err }, 'delegations could not be let go of; their leases run out by themselves')
    })
  }

  /** There may be something to do at once. */
  nudge(): void {
    this.#rounds.nudge()
  }

  async #round(): Promise<void> {
    if (this.#runs.size > 0) await this.#renew()
    const room = MAX_RUNS - this.#runs.size
    if (room <= 0 || this.#stopping.signal.aborted) return
    for (const row of await this.#deps.delegations.claim(this.#deps.id, LEASE_MS, room)) this.#begin(row)
  }

  async #renew(): Promise<void> {
    const runs = [...this.#runs]
    const { id, delegations } = this.#deps
    const renewed = await delegations.renew(
      id,
      runs.map(([, { row }]) => row),
      LEASE_MS,
    )
    const held = new Map(renewed.map((it) => [keyOf(it), it]))
    for (const [key, { cancel, abandon }] of runs) {
      const lease = held.get(key)
      if (lease?.cancelRequested) cancel.abort()
      // Somebody else sees to it, or it has ended: to go on watching would only be work done twice.
      if (!lease) abandon.abort()
    }
  }

  #begin(row: DelegationRow): void {
    const key = keyOf(row)
    // Its lease ran out while this process was stopped; the run is about to notice.
    this.#runs.get(key)?.abandon.abort()
    const [cancel, abandon] = [new AbortController(), new AbortController()]
    if (row.cancelRequested) cancel.abort()
    const run = new DelegationRun(this.#deps, { cancel: cancel.signal, abandon: abandon.signal })
    const ended = run
      .carryOut(row)
      .catch((err: unknown) => {
        // The lease runs out, and somebody goes on from what the row says.
        this.#deps.log.warn({ err, delegation: row.id, tenant: row.tenant }, 'a delegation could not be carried out')
      })
      .finally(() => {
        if (this.#runs.get(key)?.abandon === abandon) this.#runs.delete(key)
      })
    this.#runs.set(key, { row, cancel, abandon, ended })
  }
}

const keyOf = ({ tenant, id }: Pick<DelegationRow, 'tenant' | 'id'>): string => `${tenant}/${id}`
