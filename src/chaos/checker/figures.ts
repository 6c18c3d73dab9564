/**
 * The figures of a run: how much was asked and got, how long a fault was felt, in and outside of fault windows.
 */
import type { FaultKind, FaultLine, RunLine } from '../journal.js'
import type { CommandRecord, CommandTable } from './command-table.js'
import type { SessionLogs } from './session-logs.js'

/** Milliseconds. */
export interface Spread {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface Traffic {
  readonly sent: number
  readonly accepted: number
  /** 0 … 1; 1 when nothing was sent. */
  readonly acceptedShare: number
  /** From the first sending to the first acceptance. */
  readonly acceptMs: Spread
  /** From the first sending to the end that a client saw. */
  readonly endMs: Spread
}

export interface FaultFigures {
  readonly fault: FaultKind
  readonly runs: number
  /** Runs in which some client's command was unfinished when the fault began. */
  readonly withCommandsInFlight: number
  /** Runs in which the victim itself had work: sessions that were taken from it, clients that lost it. */
  readonly withWorkOnVictim: number
  /** From the beginning of the fault to the first event of another owner, over the sessions taken from the victim. */
  readonly takeoverMs: Spread
  /** From the loss of an edge to the first answer of the next one, over its clients. */
  readonly resumeMs: Spread
}

export interface Figures {
  readonly seconds: number
  readonly commands: number
  readonly sessions: number
  readonly events: number
  readonly resets: number
  readonly outsideFaults: Traffic
  readonly insideFaults: Traffic
  readonly faults: readonly FaultFigures[]
}

/** A lost edge of one client. */
export interface Resumption {
  readonly edge: string
  readonly lostAt: number
  readonly ms: number
}

/** How long after it has healed a fault still counts as going on: others take over within 4 s. */
const AFTERMATH_MS = 5_000
/** A client notices the death of its edge at once, and of one that is cut off when it has given up. */
const NOTICED_WITHIN_MS = 60_000

export interface FigureSources {
  readonly run: RunLine
  readonly faults: readonly FaultLine[]
  readonly commands: CommandTable
  readonly logs: SessionLogs
  readonly resumptions: readonly Resumption[]
  readonly resets: number
}

export function figuresOf(sources: FigureSources): Figures {
  const { run, faults, commands, logs, resets } = sources
  const traffic = { inside: new TrafficCount(), outside: new TrafficCount() }
  const flights = new Set<string>()
  const windows = faults.map(({ began, healed }) => ({ began, ended: healed + AFTERMATH_MS }))
  for (const command of commands.all()) {
    if (Number.isNaN(command.sentAt)) continue
    const inside = windows.some(({ began, ended }) => command.sentAt >= began && command.sentAt <= ended)
    traffic[inside ? 'inside' : 'outside'].add(command)
    for (const { id, began } of faults) if (command.sentAt < began && !(command.endedAt <= began)) flights.add(id)
  }
  let sessions = 0
  let events = 0
  for (const { head } of logs.all()) {
    sessions += 1
    events += head
  }
  return {
    seconds: (run.ended - run.began) / 1_000,
    commands: traffic.inside.sent + traffic.outside.sent,
    sessions,
    events,
    resets,
    outsideFaults: traffic.outside.figures(),
    insideFaults: traffic.inside.figures(),
    faults: faultFigures(sources, flights),
  }
}

class TrafficCount {
  sent = 0
  #accepted = 0
  readonly #acceptMs: number[] = []
  readonly #endMs: number[] = []

  add({ sentAt, acceptedAt, endedAt, accepted }: CommandRecord): void {
    this.sent += 1
    if (accepted) {
      this.#accepted += 1
      this.#acceptMs.push(acceptedAt - sentAt)
    }
    if (!Number.isNaN(endedAt)) this.#endMs.push(endedAt - sentAt)
  }

  figures(): Traffic {
    const { sent } = this
    const acceptedShare = sent === 0 ? 1 : this.#accepted / sent
    return {
      sent,
      accepted: this.#accepted,
      acceptedShare,
      acceptMs: spread(this.#acceptMs),
      endMs: spread(this.#endMs),
    }
  }
}

function faultFigures({ faults, logs, resumptions }: FigureSources, flights: ReadonlySet<string>): FaultFigures[] {
  const takeovers = takeoversOf(faults, logs)
  const kinds = [...new Set(faults.map(({ fault }) => fault))]
  return kinds.map((kind) => {
    const runs = faults.filter(({ fault }) => fault === kind)
    const taken = runs.map(({ id }) => takeovers.get(id) ?? [])
    const resumed = runs.map((fault) => resumptions.filter((it) => isOf(it, fault)).map(({ ms }) => ms))
    return {
      fault: kind,
      runs: runs.length,
      withCommandsInFlight: runs.filter(({ id }) => flights.has(id)).length,
      withWorkOnVictim: runs.filter((_run, index) => (taken[index]?.length ?? 0) + (resumed[index]?.length ?? 0) > 0)
        .length,
      takeoverMs: spread(taken.flat()),
      resumeMs: spread(resumed.flat()),
    }
  })
}

/** By fault: how long each session that was taken from its victim was without an owner. */
function takeoversOf(faults: readonly FaultLine[], logs: SessionLogs): Map<string, number[]> {
  const found = new Map<string, number[]>(faults.map(({ id }) => [id, []]))
  for (const { events } of logs.all()) {
    for (const event of events) {
      if (event?.type !== 'session_takeover') continue
      const fault = faults.findLast(({ node, began }) => node === event.details?.from && began < event.seenAt)
      if (fault) found.get(fault.id)?.push(event.seenAt - fault.began)
    }
  }
  return found
}

const isOf = ({ edge, lostAt }: Resumption, { node, began }: FaultLine): boolean =>
  edge === node && lostAt >= began && lostAt <= began + NOTICED_WITHIN_MS

export function spread(values: number[]): Spread {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}
