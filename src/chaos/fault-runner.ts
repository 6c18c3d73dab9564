/**
 * Draws faults and runs them one after the other: each on a cluster that has healed from the one before, each with a note
 * of what its victim had in flight.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault, Mark, Stage, Victim } from './faults/fault.js'
import { drawFaults } from './faults/faults.js'
import { type FaultLine, now } from './journal.js'
import type { EdgeAddress, Hit, InFlight } from './load/plan.js'
import type { ChaosNode, Nodes } from './nodes.js'

/** A cluster that has not healed by then does not heal by itself. */
const SETTLE_TIMEOUT_MS = 60_000
const POLL_MS = 200
/** A node cannot start while the store that it needs is away. */
const START_ATTEMPTS = 5
const START_PAUSE_MS = 1_000
/** Between faults: figures outside of fault windows are taken here. */
const MIN_QUIET_MS = 2_000
const MAX_QUIET_MS = 5_000

/** A fault that was run. */
export interface FaultRecord {
  readonly id: string
  readonly test: string
  readonly title: string
  readonly line: FaultLine
  /** What the victim had in flight. */
  readonly found: InFlight
  /** From the harm until every shard had a living owner and every session that was hit had gone on; undefined: it did not. */
  readonly settledMs: number | undefined
}

export type Parts = Omit<Stage, 'begin' | 'complain' | 'restart' | 'earlier'>

export interface RunnerOptions {
  readonly parts: Parts
  readonly append: (line: FaultLine) => void
  /** Is told what happens. */
  readonly tell: (sentence: string) => void
}

export class FaultRunner {
  readonly records: FaultRecord[] = []
  /** What went wrong and stands in no journal. */
  readonly complaints: string[] = []
  readonly #options: RunnerOptions
  #count = 0

  constructor(options: RunnerOptions) {
    this.#options = options
  }

  /** Runs faults until the time is over; the last one is let heal. `isOver` is asked before each. */
  async run(faults: readonly Fault[], isOver: () => boolean): Promise<void> {
    const { random } = this.#options.parts
    await this.settled(performance.now())
    for (const fault of drawFaults(faults, random)) {
      await sleep(random(MIN_QUIET_MS, MAX_QUIET_MS))
      if (isOver()) return
      const found = await this.#runOne(fault)
      if (fault.needsWork && found?.commands === 0) await this.#runOne(fault)
    }
  }

  /** Resolves when the cluster is whole, with the time that took; undefined when it does not become so. */
  async settled(since: number): Promise<number | undefined> {
    const deadline = performance.now() + SETTLE_TIMEOUT_MS
    while (performance.now() < deadline) {
      await this.#startEnded()
      if (await this.#isWhole()) return Math.round(performance.now() - since)
      await sleep(POLL_MS)
    }
    return undefined
  }

  /** Who was declared dead has ended, as it must; a supervisor starts it again. */
  async #startEnded(): Promise<void> {
    const ended = this.#options.parts.nodes.all().filter(({ process }) => !process.running)
    await Promise.allSettled(ended.map((node) => this.#restart(node, undefined)))
  }

  /** Resolves, once it has healed, with what the victim had in flight; with undefined when there was no victim. */
  async #runOne(fault: Fault): Promise<InFlight | undefined> {
    const { parts, tell } = this.#options
    const id = `${fault.test}-${++this.#count}`
    let began: Begun | undefined
    const stage: Stage = {
      ...parts,
      earlier: this.records.filter(({ title }) => title === fault.title).length,
      begin: async (victim) => {
        began = await this.#begin(id, fault, victim)
        return began
      },
      restart: (node, env) => this.#restart(node, env),
      complain: (sentence) => this.complaints.push(`${id}: ${sentence}`),
    }
    try {
      await fault.run(stage)
    } catch (error) {
      stage.complain(`the fault could not be carried out: ${String(error)}`)
    }
    if (!began) return undefined
    const settledMs = await this.settled(began.startedAt)
    await parts.load.faultHealed()
    if (settledMs === undefined) this.complaints.push(`${id}: ${await this.#whatIsMissing()}`)
    this.#options.append(began.line)
    this.records.push({ id, test: fault.test, title: fault.title, line: began.line, found: began.found, settledMs })
    const end = settledMs === undefined ? 'did not heal' : `healed after ${(settledMs / 1_000).toFixed(1)} s`
    tell(`${id.padEnd(7)} ${fault.title}: ${nameOf(began.line)}${began.found.commands} commands in flight, ${end}`)
    return began.found
  }

  /** As a supervisor does: again and again. @throws Error when it does not start. */
  async #restart(node: ChaosNode, env: Readonly<Record<string, string>> | undefined): Promise<void> {
    const { nodes, load } = this.#options.parts
    for (let attempt = 1; ; attempt++) {
      try {
        await nodes.restart(node, env)
        break
      } catch (error) {
        if (attempt === START_ATTEMPTS) throw error
        await sleep(START_PAUSE_MS)
      }
    }
    if (node.role === 'edge') await load.setEdges(edgesOf(nodes))
  }

  async #begin(id: string, { test }: Fault, { kind, variant, node, isolated, losesWrites }: Victim): Promise<Begun> {
    const found = await this.#options.parts.load.faultBegan(await this.#hitOf(node))
    const about = {
      ...(variant !== undefined && { variant }),
      ...(node && { node: node.process.node }),
      ...(isolated && { isolated }),
      ...(losesWrites && { losesWrites }),
    }
    return new Begun(found, (times) => ({ kind: 'fault', test, fault: kind, id, ...times, ...about, inFlight: found }))
  }

  async #hitOf(node: ChaosNode | undefined): Promise<Hit> {
    if (!node) return { who: 'everybody' }
    if (node.role === 'edge') return { who: 'edge', url: node.process.url }
    const owners = await this.#options.parts.stores.owners()
    const shards = [...owners].filter(([, owner]) => owner === node.process.node).map(([shard]) => shard)
    return { who: 'shards', shards }
  }

  async #isWhole(): Promise<boolean> {
    try {
      const { missing, waiting } = await this.#state()
      return missing === 0 && waiting === 0
    } catch {
      return false // The store that we ask is the one that was harmed.
    }
  }

  async #state(): Promise<{ readonly missing: number; readonly waiting: number }> {
    const { stores, nodes, load } = this.#options.parts
    const [rows, { waiting }] = await Promise.all([
      stores.query<{ owner: string | null }>('select owner from shard_assignments'),
      load.status(),
    ])
    const living = new Set(nodes.running('worker').map(({ process }) => process.node))
    const missing = rows.filter(({ owner }) => !living.has(owner ?? '')).length
    return { missing: rows.length === 0 ? 1 : missing, waiting }
  }

  async #whatIsMissing(): Promise<string> {
    const { missing, waiting } = await this.#state().catch(() => ({ missing: 'unknown', waiting: 'unknown' }))
    const seconds = SETTLE_TIMEOUT_MS / 1_000
    return `after ${seconds} s ${missing} shards have no living owner and ${waiting} sessions have not gone on`
  }
}

export const edgesOf = (nodes: Nodes): EdgeAddress[] =>
  nodes.running('edge').map(({ process }) => ({ url: process.url, node: process.node }))

class Begun implements Mark {
  readonly #began = now()
  readonly startedAt = performance.now()
  #cutUntil: number | undefined
  #healed: number | undefined

  constructor(
    readonly found: InFlight,
    private readonly write: (times: Pick<FaultLine, 'began' | 'healed' | 'cutUntil'>) => FaultLine,
  ) {}

  cutEnds(): void {
    this.#cutUntil ??= now()
  }

  healed(): void {
    this.#healed ??= now()
  }

  get line(): FaultLine {
    const cut = this.#cutUntil === undefined ? {} : { cutUntil: this.#cutUntil }
    return this.write({ began: this.#began, healed: this.#healed ?? now(), ...cut })
  }
}

const nameOf = ({ node }: FaultLine): string => (node === undefined ? '' : `${node}, `)
