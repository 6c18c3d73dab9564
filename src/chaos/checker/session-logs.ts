/**
 * All logs of a run, read before anything else: what clients, models and tools tell is compared with them.
 */
import type { Lines, LogLine } from '../journal.js'
import type { CommandTable } from './command-table.js'
import type { Findings } from './findings.js'
import { SessionLog } from './session-log.js'

export class SessionLogs {
  readonly #sessions = new Map<string, SessionLog>()

  constructor(
    private readonly commands: CommandTable,
    private readonly findings: Findings,
  ) {}

  async read(lines: Lines<LogLine>): Promise<void> {
    for await (const batch of lines) for (const line of batch) this.#take(line)
    for (const session of this.all()) session.finish(this.findings)
  }

  all(): IterableIterator<SessionLog> {
    return this.#sessions.values()
  }

  find(id: string): SessionLog | undefined {
    return this.#sessions.get(id)
  }

  #take(line: LogLine): void {
    const command = line.command === undefined ? undefined : this.commands.of(line.command)
    const known = this.find(line.session)
    const session = known ?? new SessionLog(line.session)
    if (!known) this.#sessions.set(line.session, session)
    session.take(line, command, this.findings)
  }
}
