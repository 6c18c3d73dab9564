/**
 * The figures of each kind of fault: how often it found work, what became of the commands that it touched, and how long it
 * was felt.
 */
import type { FaultKind, FaultLine } from '../journal.js'
import type { CommandRecord } from './command-table.js'
import type { SessionLogs } from './session-logs.js'
import { type Spread, spread } from './spread.js'

export interface FaultFigures {
  /** Row of the design's table. */
  readonly test: string
  readonly fault: FaultKind
  readonly variant?: string
  readonly runs: number
  /** Runs in which some client's command was unfinished when the fault began. */
  readonly withCommandsInFlight: number
  /**
   * Runs in which the victim itself had work: accepted commands that had not ended or, where a primary was cut off from its
   * replica first, that it took while it was.
   */
  readonly withWorkOnVictim: number
  /** Commands that were sent from its beginning until shortly after it had healed. */
  readonly sent: number
  /** Of those and of the ones that it found in flight: without an end, and with more than one. */
  readonly lost: number
  readonly doubled: number
  /** From the beginning of the fault to the first event of another owner, over the sessions taken from the victim. */
  readonly takeoverMs: Spread
  /** From the loss of an edge to the first answer of the next one, over its clients. */
  readonly resumeMs: Spread
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

interface TallySources {
  readonly faults: readonly FaultLine[]
  readonly logs: SessionLogs
  readonly resumptions: readonly Resumption[]
  readonly isLost: (command: CommandRecord) => boolean
}

/** What one fault did. */
class Tally {
  readonly ended: number
  foundCommands = false
  tookWhileCut = false
  sent = 0
  lost = 0
  doubled = 0
  readonly takeoverMs: number[] = []
  readonly resumeMs: number[]

  constructor(
    readonly line: FaultLine,
    resumptions: readonly Resumption[],
  ) {
    this.ended = line.healed + AFTERMATH_MS
    this.resumeMs = resumptions.filter((it) => isOf(it, line)).map(({ ms }) => ms)
  }

  get hadWork(): boolean {
    const { inFlight } = this.line
    if (this.takeoverMs.length > 0 || this.tookWhileCut) return true
    return inFlight ? inFlight.commands > 0 : this.resumeMs.length > 0
  }

  /** Whether the command was sent while this was felt, or was in flight when it began. */
  touches({ sentAt, acceptedAt, endedAt }: CommandRecord): boolean {
    const { began, cutUntil } = this.line
    if (cutUntil !== undefined && acceptedAt > began && acceptedAt <= cutUntil) this.tookWhileCut = true
    const wasInFlight = sentAt < began && !(endedAt <= began)
    if (wasInFlight) this.foundCommands = true
    return wasInFlight || this.covers(sentAt)
  }

  covers(at: number): boolean {
    return at >= this.line.began && at <= this.ended
  }
}

export class FaultTallies {
  readonly #tallies: readonly Tally[]
  readonly #isLost: (command: CommandRecord) => boolean

  constructor({ faults, logs, resumptions, isLost }: TallySources) {
    this.#tallies = faults.map((line) => new Tally(line, resumptions))
    this.#isLost = isLost
    this.#findTakeovers(logs)
  }

  /** Counts a command with the faults that it met; what went wrong with it, with the first. Returns whether it was sent in one. */
  take(command: CommandRecord): boolean {
    let first: Tally | undefined
    let inside = false
    for (const tally of this.#tallies) {
      if (!tally.touches(command)) continue
      first ??= tally
      if (!tally.covers(command.sentAt)) continue
      inside = true
      tally.sent += 1
    }
    if (first && this.#isLost(command)) first.lost += 1
    if (first && isDoubled(command)) first.doubled += 1
    return inside
  }

  figures(): FaultFigures[] {
    const kinds = [...new Set(this.#tallies.map(({ line }) => nameOf(line)))]
    return kinds.map((kind) => figuresOf(this.#tallies.filter(({ line }) => nameOf(line) === kind)))
  }

  /** How long each session that was taken from a victim was without an owner. */
  #findTakeovers(logs: SessionLogs): void {
    for (const { events } of logs.all()) {
      for (const event of events) {
        if (event?.type !== 'session_takeover') continue
        const from = event.details?.from
        const tally = this.#tallies.findLast(({ line }) => line.node === from && line.began < event.seenAt)
        tally?.takeoverMs.push(event.seenAt - tally.line.began)
      }
    }
  }
}

function figuresOf(runs: readonly Tally[]): FaultFigures {
  const { test, fault, variant } = (runs[0] as Tally).line
  const sum = (of: (tally: Tally) => number): number => runs.reduce((total, tally) => total + of(tally), 0)
  return {
    ...{ test, fault, ...(variant !== undefined && { variant }) },
    runs: runs.length,
    withCommandsInFlight: runs.filter(({ foundCommands }) => foundCommands).length,
    withWorkOnVictim: runs.filter(({ hadWork }) => hadWork).length,
    sent: sum(({ sent }) => sent),
    lost: sum(({ lost }) => lost),
    doubled: sum(({ doubled }) => doubled),
    takeoverMs: spread(runs.flatMap(({ takeoverMs }) => takeoverMs)),
    resumeMs: spread(runs.flatMap(({ resumeMs }) => resumeMs)),
  }
}

/** How a kind of fault is called in tables. */
export const nameOf = ({ fault, variant }: Pick<FaultLine, 'fault' | 'variant'>): string =>
  variant === undefined ? fault : `${fault}, ${variant}`

const isDoubled = ({ ends, begun, alsoIn }: CommandRecord): boolean => ends > 1 || begun > 1 || alsoIn !== undefined

const isOf = ({ edge, lostAt }: Resumption, { node, began }: FaultLine): boolean =>
  edge === node && lostAt >= began && lostAt <= began + NOTICED_WITHIN_MS
