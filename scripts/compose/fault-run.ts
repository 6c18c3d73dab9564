/**
 * Does harm to a composed cluster under load, one thing after the other: each to a cluster that has healed from the one
 * before, and each written down for the checker.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultRecord } from '../../src/chaos/fault-runner.js'
import { type FaultKind, type FaultLine, now } from '../../src/chaos/journal.js'
import type { JournalWriter } from '../../src/chaos/journal-file.js'
import type { LoadProcess } from '../../src/chaos/load/load-process.js'
import type { Hit } from '../../src/chaos/load/plan.js'
import type { NodeId } from '../../src/protocol/ids.js'
import type { Project } from './project.js'

/** A cluster that has not healed by then does not heal by itself. */
const SETTLE_TIMEOUT_MS = 60_000
const POLL_MS = 250

export interface Harm {
  /** Row of the design's table that it stands for. */
  readonly test: string
  readonly kind: FaultKind
  readonly title: string
  /** The worker that others take over from. */
  readonly worker?: NodeId
  /** The worker lives and reaches nobody. */
  readonly isolated?: true
  /** Resolves when what it did is undone, or as much as it wants to undo. */
  readonly act: () => Promise<void>
}

export interface RunParts {
  readonly project: Project
  readonly load: LoadProcess
  readonly journal: JournalWriter<FaultLine>
  readonly tell: (sentence: string) => void
}

export class FaultRun {
  readonly records: FaultRecord[] = []
  /** What went wrong and stands in no journal. */
  readonly complaints: string[] = []
  /** Nodes that must not own anything any more. */
  readonly #gone = new Set<NodeId>()
  readonly #parts: RunParts

  constructor(parts: RunParts) {
    this.#parts = parts
  }

  /** Resolves when every shard has a living owner and every session that was hit has gone on. */
  async do(harm: Harm): Promise<void> {
    const { load, journal, tell } = this.#parts
    const { test, kind, title, worker, isolated } = harm
    const id = `${test}-${this.records.length + 1}`
    const found = await load.faultBegan(await this.#hit(worker))
    const began = now()
    const startedAt = performance.now()
    await harm.act()
    const about = { ...(worker !== undefined && { node: worker }), ...(isolated && { isolated }) }
    const line: FaultLine = { kind: 'fault', test, fault: kind, id, began, healed: now(), ...about, inFlight: found }
    if (worker !== undefined) this.#gone.add(worker)
    const settledMs = await this.#settled(startedAt)
    await load.faultHealed()
    journal.append(line)
    this.records.push({ id, test, title, line, found, settledMs })
    if (settledMs === undefined) this.complaints.push(`${title}: ${await this.#whatIsMissing()}`)
    const end = settledMs === undefined ? 'did not heal' : `whole after ${(settledMs / 1_000).toFixed(1)} s`
    tell(`${title}: ${found.commands} commands in flight, ${end}`)
  }

  async #hit(worker: NodeId | undefined): Promise<Hit> {
    if (worker === undefined) return { who: 'everybody' }
    const rows = await this.#parts.project.query<{ shard: number; owner: NodeId }>(
      'select shard, owner from shard_assignments',
    )
    return { who: 'shards', shards: rows.filter(({ owner }) => owner === worker).map(({ shard }) => shard) }
  }

  async #settled(since: number): Promise<number | undefined> {
    const deadline = performance.now() + SETTLE_TIMEOUT_MS
    while (performance.now() < deadline) {
      const { missing, waiting } = await this.#state()
      if (missing === 0 && waiting === 0) return Math.round(performance.now() - since)
      await sleep(POLL_MS)
    }
    return undefined
  }

  async #state(): Promise<{ readonly missing: number; readonly waiting: number }> {
    const { project, load } = this.#parts
    const [rows, { waiting }] = await Promise.all([
      project.query<{ owner: NodeId | null; status: string | null }>(
        'select owner, status from shard_assignments left join nodes on id = owner',
      ),
      load.status(),
    ])
    const missing = rows.filter(({ owner, status }) => status !== 'live' || this.#gone.has(owner ?? '')).length
    return { missing: rows.length === 0 ? 1 : missing, waiting }
  }

  async #whatIsMissing(): Promise<string> {
    const { missing, waiting } = await this.#state()
    const seconds = SETTLE_TIMEOUT_MS / 1_000
    return `after ${seconds} s ${missing} shards have no living owner and ${waiting} sessions have not gone on`
  }
}
