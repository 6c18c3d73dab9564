/**
 * One load run: connect, warm up, measure, wait for what is still under way, and report.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { dialectOf } from './dialect.js'
import { faultsOf, noCounts } from './ledger.js'
import { Meter } from './meter.js'
import { ClosedLoop, OpenLoop, type Pace } from './pace.js'
import type { Plan, Progress, Report } from './plan.js'
import { LoadSession } from './session.js'

/** Connections that are opened at one time: a real system would not see all of its clients in one instant. */
const OPENING_AT_ONCE = 50
/** What has no answer by then has none. */
const DRAIN_MS = 15_000
const DRAIN_POLL_MS = 20
/** Of lost connections, for the report. */
const SHOWN_LOSSES = 5

/** @throws Error when a connection cannot be opened. What goes wrong later is in the report. */
export async function runLoad(plan: Plan, tell: (progress: Progress) => void): Promise<Report> {
  const run = new LoadRun(plan)
  try {
    await run.connect()
    tell({ phase: 'connected' })
    return await run.measure(tell)
  } finally {
    run.close()
  }
}

class LoadRun {
  readonly #plan: Plan
  readonly #sessions: readonly LoadSession[]
  readonly #pace: Pace
  readonly #meter = new Meter()
  readonly #counts = noCounts()
  readonly #losses: string[] = []

  constructor(plan: Plan) {
    this.#plan = plan
    this.#sessions = Array.from({ length: plan.connections }, (_, index) => this.#session(index))
    this.#pace = plan.rate === undefined ? new ClosedLoop(this.#sessions) : new OpenLoop(this.#sessions, plan.rate)
  }

  async connect(): Promise<void> {
    for (let from = 0; from < this.#sessions.length; from += OPENING_AT_ONCE) {
      await Promise.all(this.#sessions.slice(from, from + OPENING_AT_ONCE).map((session) => session.start()))
    }
  }

  async measure(tell: (progress: Progress) => void): Promise<Report> {
    this.#pace.start()
    await sleep(this.#plan.warmupSeconds * 1000)
    this.#meter.begin()
    tell({ phase: 'measuring' })
    await sleep(this.#plan.seconds * 1000)
    this.#meter.end()
    tell({ phase: 'measured' })
    this.#pace.stop()
    await this.#drain()
    return this.#report()
  }

  close(): void {
    for (const session of this.#sessions) session.close()
  }

  #session(index: number): LoadSession {
    const { targets, tokens, dialect } = this.#plan
    const target = targets[index % targets.length]
    if (target === undefined) throw new Error('a plan names at least one target')
    return new LoadSession({
      ...{ target, dialect: dialectOf(dialect), token: tokens[index % tokens.length] ?? '' },
      ...{ counts: this.#counts, meter: this.#meter },
      onAnswered: () => this.#pace.answered(index),
      onLost: (reason) => this.#losses.push(reason),
    })
  }

  async #drain(): Promise<void> {
    const deadline = performance.now() + DRAIN_MS
    while (this.#sessions.some(({ isOpen, ledger }) => isOpen && ledger.inFlight > 0)) {
      if (performance.now() > deadline) return
      await sleep(DRAIN_POLL_MS)
    }
  }

  #report(): Report {
    const { rate, connections } = this.#plan
    const { answers, seconds, latency } = this.#meter
    const pending = this.#sessions.flatMap(({ ledger }) => ledger.pendingSince)
    const unsent = this.#pace.notSent()
    for (const dueAt of [...pending, ...unsent]) this.#meter.gaveUp(dueAt)
    const { length: unanswered } = pending
    const { length: notSent } = unsent
    const losses = this.#losses.length === 0 ? [] : [`${this.#losses.length} connections were lost`]
    const overload = notSent === 0 ? [] : [`${notSent} requests were due and never sent: the rate is too high`]
    return {
      connections,
      ...(rate !== undefined && { offeredPerSecond: rate }),
      ...{ roundTrips: answers, seconds, roundTripsPerSecond: Math.round(answers / seconds) },
      ...{ latency: latency.summary(), counts: this.#counts, unanswered, notSent },
      events: this.#sessions.reduce((sum, { ledger }) => sum + ledger.lastEvent, 0),
      lostConnections: this.#losses.slice(0, SHOWN_LOSSES),
      faults: [...faultsOf(this.#counts, unanswered), ...losses, ...overload],
    }
  }
}
