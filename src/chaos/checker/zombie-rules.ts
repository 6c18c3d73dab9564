/**
 * G9: a worker whose beats are not acknowledged starts nothing after two seconds, and nothing ever again once others
 * have taken over from it.
 */
import type { EffectLine, FaultLine, ModelLine } from '../journal.js'
import { type Findings, timeText } from './findings.js'
import type { SessionLogs } from './session-logs.js'

/** The worker's own limit. */
const SELF_STOP_MS = 2_000
/** Processes of tools are suspended this much later. */
const TOOL_GRACE_MS = 500
/** From the check in the worker to the provider or tool server that writes the line, on a busy machine. */
const TRAVEL_MS = 500
/** By then a silent worker is dead for everybody, the freeze rule included. */
const SURELY_DEAD_MS = 15_000
/** A request that had passed its check when the worker was frozen. */
const MAX_PAST_CHECK = 1

interface Watch {
  readonly fault: FaultLine
  /** Others have taken over: it may never start anything again. */
  readonly dead: boolean
  afterHeal: number
}

export class Zombies {
  readonly #watches = new Map<string, Watch[]>()

  constructor(
    faults: readonly FaultLine[],
    logs: SessionLogs,
    private readonly findings: Findings,
    private readonly began: number,
  ) {
    const replaced = replacedNodes(logs)
    const last = new Map(faults.map((fault) => [fault.node, fault]))
    for (const fault of faults) {
      const { node, isolated, healed } = fault
      if (node === undefined || !isolated || healed - fault.began < SELF_STOP_MS) continue
      // A node that dies comes back under another name: one that a later fault finds has outlived this one.
      const outlived = last.get(node) !== fault
      const dead = (replaced.has(node) && !outlived) || healed - fault.began >= SURELY_DEAD_MS
      this.#watches.set(node, [...(this.#watches.get(node) ?? []), { fault, dead, afterHeal: 0 }])
      findings.checked('G9')
    }
  }

  take(line: ModelLine | EffectLine): void {
    for (const watch of this.#watches.get(line.node ?? '') ?? []) this.#judge(line, watch)
  }

  #judge(line: ModelLine | EffectLine, watch: Watch): void {
    const at = line.kind === 'model' ? line.began : line.at
    const { began, healed, id } = watch.fault
    const grace = SELF_STOP_MS + TRAVEL_MS + (line.kind === 'effect' ? TOOL_GRACE_MS : 0)
    if (at <= began + grace) return
    if (at <= healed) this.#broken(line, at, `${timeText(at, began)} after ${id} had cut it off`)
    else if (watch.dead && ++watch.afterHeal > MAX_PAST_CHECK) {
      this.#broken(line, at, `after ${id}, when others had taken over from it`)
    }
  }

  #broken(line: ModelLine | EffectLine, at: number, when: string): void {
    this.findings.violated('G9', `node ${line.node} started a ${line.kind} ${when}`, () => [
      `${line.kind}  at ${timeText(at, this.began)} ${JSON.stringify(line)}`,
    ])
  }
}

function replacedNodes(logs: SessionLogs): Set<string> {
  const nodes = new Set<string>()
  for (const { events } of logs.all()) {
    for (const event of events)
      if (event?.type === 'session_takeover' && event.details?.from) nodes.add(event.details.from)
  }
  return nodes
}
