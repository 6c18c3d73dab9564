/**
 * Every command of a run: what clients sent and heard of it, and what the log says that became of it.
 */
import type { Accepted, CommandType, Refused, Sent } from '../journal.js'

/** The log of a session, as far as its commands look at it. */
interface Log {
  readonly id: string
  /** One event, and those around it, in words. */
  describe(seq: number): string
  around(seq: number): string[]
}

/** Times are NaN while it has not happened. All fields stand from the start: there are a million of these. */
export class CommandRecord {
  type: CommandType | undefined
  poison = false
  sends = 0
  sentAt = Number.NaN
  /** When some client first knew. */
  acceptedAt = Number.NaN
  /** Answers `busy`. */
  busy = 0
  /** The session that clients were told of. */
  acceptedIn: string | undefined
  /** Another one that they were told of, which must not be. */
  alsoIn: string | undefined
  /** The session whose log names it. */
  session: Log | undefined
  /** Sequence number of its first `task_executing`; 0 when there is none. */
  begunSeq = 0
  begun = 0
  /** Of its first terminal event. */
  endSeq = 0
  ends = 0
  quarantined = false
  /** `session_status_update` events that answer it. */
  updates = 0
  /** When some client first saw its end. */
  endedAt = Number.NaN

  constructor(readonly id: string) {}

  get accepted(): boolean {
    return !Number.isNaN(this.acceptedAt)
  }

  /** Whether it waits in the inbox for its turn; control commands overtake. */
  get isTask(): boolean {
    return this.type === 'spawn' || this.type === 'execute'
  }
}

export class CommandTable {
  readonly #commands = new Map<string, CommandRecord>()

  get size(): number {
    return this.#commands.size
  }

  all(): IterableIterator<CommandRecord> {
    return this.#commands.values()
  }

  find(id: string): CommandRecord | undefined {
    return this.#commands.get(id)
  }

  of(id: string): CommandRecord {
    const known = this.#commands.get(id)
    if (known) return known
    const command = new CommandRecord(id)
    this.#commands.set(id, command)
    return command
  }

  sent(line: Sent): void {
    const command = this.of(line.command)
    command.type = line.type
    command.sends += 1
    command.sentAt = earliest(command.sentAt, line.at)
    if (line.poison) command.poison = true
  }

  accepted(line: Accepted): void {
    const command = this.of(line.command)
    command.acceptedAt = earliest(command.acceptedAt, line.at)
    command.acceptedIn ??= line.session
    if (command.acceptedIn !== line.session) command.alsoIn = line.session
  }

  refused(line: Refused): void {
    if (line.code === 'busy') this.of(line.command).busy += 1
  }
}

export const earliest = (known: number, at: number): number => (at >= known ? known : at)
