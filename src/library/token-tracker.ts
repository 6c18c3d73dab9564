/**
 * The token budgets for a program: what its orchestrators may use, what they have used, and what it cost. It counts with the
 * service: what sessions use is part of it, and what the program uses by itself counts for them too.
 *
 *   const tracker = new TokenTracker(daemon)
 *   tracker.on('threshold:75', ({ id, period }) => console.log(`${id} has used most of its ${period} budget`))
 *   const { allowed, message } = await tracker.checkBudget('planner', 'daily', 5_000)
 */
import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { BudgetDesk } from '../budget/budget-desk.js'
import type { Held } from '../budget/token-budgets.js'
import type { BudgetUse, OverrideInput, UsageInput, UsageReport, UsageReportInput } from '../protocol/budgets.js'
import { ServiceError } from '../protocol/errors.js'

export type BudgetPeriod = BudgetUse['period']

/** Each share of a limit that this tracker has seen passed, in the order of the shares. */
export interface TokenTrackerEvents {
  'threshold:50': [use: BudgetUse]
  'threshold:75': [use: BudgetUse]
  'threshold:90': [use: BudgetUse]
  'threshold:100': [use: BudgetUse]
  'budget:exceeded': [use: BudgetUse]
  'usage:tracked': [usage: UsageInput]
  'reservation:created': [reservation: TokenReservation]
  'reservation:released': [reservation: TokenReservation & { readonly actualUsed: number }]
  'override:set': [override: OverrideInput & { readonly id: number }]
}

export interface TokenReservation {
  readonly id: string
  readonly orchestratorId: string
  readonly tokens: number
  readonly expiresAt: Date
}

export interface BudgetCheck {
  readonly allowed: boolean
  /** The limit that has the least left. */
  readonly tightest: BudgetUse | undefined
  /** Why not. */
  readonly message?: string
}

export type OverrideRequest = Omit<OverrideInput, 'scope' | 'scopeId' | 'createdBy'> & { readonly createdBy?: string }

/** What the tracker needs of the node that it counts with. */
export interface BudgetNode {
  /** @throws ServiceError `unavailable` while the node does not run, or runs no sessions. */
  readonly budgets: BudgetDesk
  readonly tenant: string
}

const SHARES = [50, 75, 90, 100] as const
const DEFAULT_TTL_MS = 300_000
/** A reservation that is held for longer holds up everybody else. */
const MAX_TTL_MS = 3_600_000
/** Of this program; whoever holds more has forgotten to release. */
const MAX_RESERVATIONS = 10_000
/** Windows whose shares are remembered; older ones have ended. */
const MAX_WINDOWS = 10_000

interface Mine {
  readonly reservation: TokenReservation
  readonly held: Held
}

export class TokenTracker extends EventEmitter<TokenTrackerEvents> {
  readonly #node: BudgetNode
  readonly #mine = new Map<string, Mine>()
  /** The share up to which each window was told. */
  readonly #told = new Map<string, number>()

  constructor(node: BudgetNode) {
    super()
    this.#node = node
  }

  /** Counts tokens that the program has used by itself. It never refuses: they are used. */
  async trackUsage(usage: UsageInput): Promise<readonly BudgetUse[]> {
    const uses = await this.#desk.track(this.#node.tenant, usage)
    this.emit('usage:tracked', usage)
    for (const use of uses) this.#tell(use)
    return uses
  }

  /** Whether so many tokens are there, in one period or in all of them. Another call may take them meanwhile: reserve. */
  async checkBudget(orchestratorId: string, period?: BudgetPeriod, tokens = 1): Promise<BudgetCheck> {
    const uses = (await this.#uses(orchestratorId)).filter((use) => period === undefined || use.period === period)
    const tightest = uses.reduce<BudgetUse | undefined>(
      (least, use) => (least === undefined || use.remaining < least.remaining ? use : least),
      undefined,
    )
    if (tightest === undefined || tightest.remaining >= tokens) return { allowed: true, tightest }
    const { period: name, remaining } = tightest
    const message = `Would exceed ${name} budget (${tokens} tokens needed, ${remaining} available)`
    return { allowed: false, tightest, message }
  }

  /**
   * Holds tokens until they are released, or `ttlMs` have passed.
   * @throws ServiceError `budget_exceeded` when so many are not there now
   */
  async reserveTokens(orchestratorId: string, tokens: number, ttlMs = DEFAULT_TTL_MS): Promise<TokenReservation> {
    inRange('tokens', tokens, Number.MAX_SAFE_INTEGER)
    inRange('ttlMs', ttlMs, MAX_TTL_MS)
    this.#forgetExpired()
    if (this.#mine.size >= MAX_RESERVATIONS) {
      throw new ServiceError('unavailable', { reason: `this program holds ${MAX_RESERVATIONS} reservations` })
    }
    const held = await this.#desk.reserve({ tenant: this.#node.tenant, orchestratorId }, tokens, ttlMs)
    const reservation = { id: randomUUID(), orchestratorId, tokens, expiresAt: held.expiresAt }
    this.#mine.set(reservation.id, { reservation, held })
    this.emit('reservation:created', reservation)
    return reservation
  }

  /** Gives back what a reservation holds, and counts what was used of it. False for one that was released before. */
  async releaseReservation(id: string, actualUsed = 0, model = 'unknown'): Promise<boolean> {
    const mine = this.#mine.get(id)
    if (!mine) return false
    if (actualUsed !== 0) inRange('actualUsed', actualUsed, Number.MAX_SAFE_INTEGER)
    this.#mine.delete(id)
    const usage = { promptTokens: actualUsed, completionTokens: 0 }
    const windows = await mine.held.settle({ model, usage, tools: [] })
    this.emit('reservation:released', { ...mine.reservation, actualUsed })
    if (windows.length > 0) for (const use of await this.#uses(mine.reservation.orchestratorId)) this.#tell(use)
    return true
  }

  /** How much is used of each limit, that of the whole tenant included. */
  async getUsageStats(orchestratorId: string): Promise<readonly BudgetUse[]> {
    return await this.#uses(orchestratorId)
  }

  /** What was used in the last 90 days, in groups, with unusual hours and what it will cost at that rate. */
  async getReport(report: UsageReportInput): Promise<UsageReport> {
    return await this.#desk.report(this.#node.tenant, report)
  }

  /** Sets another limit for a while, a day when not said. Returns the id of the override. */
  async setBudgetOverride(orchestratorId: string, request: OverrideRequest): Promise<number> {
    const { createdBy = 'program' } = request
    const override: OverrideInput = { ...request, createdBy, scope: 'orchestrator', scopeId: orchestratorId }
    const id = await this.#desk.setOverride(this.#node.tenant, override)
    this.emit('override:set', { ...override, id })
    return id
  }

  /** Whether the counts can be reached. */
  async healthCheck(): Promise<boolean> {
    try {
      await this.#uses('health-check')
      return true
    } catch (error) {
      if (error instanceof ServiceError) return false
      throw error
    }
  }

  /** Gives back what this program holds. Reservations of others stay. */
  async disconnect(): Promise<void> {
    await Promise.allSettled([...this.#mine.keys()].map((id) => this.releaseReservation(id)))
    this.removeAllListeners()
  }

  get #desk(): BudgetDesk {
    return this.#node.budgets
  }

  #uses(orchestratorId: string): Promise<BudgetUse[]> {
    return this.#desk.uses({ tenant: this.#node.tenant, orchestratorId })
  }

  #tell(use: BudgetUse): void {
    const window = `${use.scope} ${use.id} ${use.period} ${use.resetsAt}`
    const told = this.#told.get(window) ?? 0
    const passed = SHARES.filter((share) => share > told && use.percent >= share)
    const top = passed.at(-1)
    if (top === undefined) return
    this.#remember(window, top)
    for (const share of passed) this.emit(`threshold:${share}`, use)
    if (top === 100) this.emit('budget:exceeded', use)
  }

  #remember(window: string, share: number): void {
    this.#told.delete(window)
    const oldest = this.#told.size >= MAX_WINDOWS ? this.#told.keys().next().value : undefined
    if (oldest !== undefined) this.#told.delete(oldest)
    this.#told.set(window, share)
  }

  #forgetExpired(): void {
    const now = Date.now()
    for (const [id, { reservation }] of this.#mine) if (reservation.expiresAt.getTime() < now) this.#mine.delete(id)
  }
}

/** @throws ServiceError `invalid_payload` */
function inRange(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return
  throw new ServiceError('invalid_payload', { reason: `${name}: must be a whole number from 1 to ${most}` })
}
