/**
 * The figures of a run: how much was asked and got, how long a fault was felt, in and outside of fault windows.
 */
import type { FaultLine, RunLine } from '../journal.js'
import type { CommandRecord, CommandTable } from './command-table.js'
import { type FaultFigures, FaultTallies, type Resumption } from './fault-figures.js'
import type { SessionLogs } from './session-logs.js'
import { type Spread, spread } from './spread.js'

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

export interface FigureSources {
  readonly run: RunLine
  readonly faults: readonly FaultLine[]
  readonly commands: CommandTable
  readonly logs: SessionLogs
  readonly resumptions: readonly Resumption[]
  readonly resets: number
  /** Whether a command was accepted and lost. */
  readonly isLost: (command: CommandRecord) => boolean
}

export function figuresOf(sources: FigureSources): Figures {
  const { run, commands, logs, resets } = sources
  const traffic = { inside: new TrafficCount(), outside: new TrafficCount() }
  const tallies = new FaultTallies(sources)
  for (const command of commands.all()) {
    if (Number.isNaN(command.sentAt)) continue
    traffic[tallies.take(command) ? 'inside' : 'outside'].add(command)
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
    faults: tallies.figures(),
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
