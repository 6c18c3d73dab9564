/**
 * `orchestrator-daemon logs`: the end of a daemon's log file, and with -f what comes, until Ctrl-C.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { textWriter } from '../telemetry/log-text.js'
import { usualLog } from './background.js'
import { commandSettings } from './command-settings.js'
import { CommandFailure, EXIT } from './exit.js'
import { LogFollower, lastLinesOfAll } from './log-lines.js'
import { Output, printable } from './output.js'
import { findNodes, type StopFlags } from './stop.js'

export interface LogsFlags extends StopFlags {
  readonly lines: number
  readonly follow?: true
  /** Where the log is when no daemon runs that would tell. */
  readonly log?: string
}

const LOOK_EVERY_MS = 200

export async function logs(flags: LogsFlags): Promise<void> {
  const path = logOf(flags)
  const output = new Output()
  const show = writerTo(output, flags.json === true)
  const follower = flags.follow ? new LogFollower(path) : undefined
  for (const line of lastLinesOfAll(path, flags.lines, follower?.from)) show(line)
  if (!follower) return
  const timer = setInterval(() => {
    for (const line of follower.next()) show(line)
  }, LOOK_EVERY_MS)
  const code = await new Promise<number>((end) => {
    process.once('SIGINT', () => end(EXIT.interrupted))
    process.once('SIGTERM', () => end(EXIT.ok))
  })
  clearInterval(timer)
  follower.close()
  process.exitCode = code
}

/** Of the daemon that runs, else the one that its settings name. @throws CommandFailure when there is none. */
function logOf(flags: LogsFlags): string {
  const found = findNodes(flags).flatMap(({ log }) => log ?? [])
  const [one, another] = found
  if (one !== undefined && another !== undefined) {
    throw new CommandFailure(
      `several daemons run here, choose one with --port or --name; their logs: ${found.join(', ')}`,
    )
  }
  if (one !== undefined) return one
  const { logging, server } = commandSettings(settingsIn(flags))
  const path = resolve(flags.log ?? logging.file ?? usualLog(server))
  if (existsSync(path)) return path
  throw new CommandFailure(
    `there is no log file ${path}; a daemon writes one with LOG_FILE or \`start --detach\`, and on standard output else`,
  )
}

const settingsIn = ({ config, role, name, port }: LogsFlags) => ({ config, role, name, port })

/** Lines of JSON are shown as people like to read them. */
function writerTo(output: Output, asTheyAre: boolean): (line: string) => void {
  const forPeople = textWriter({ write: (text) => output.write(text), isTTY: output.colours.isColorSupported })
  return (line) => {
    if (asTheyAre) return output.line(line)
    try {
      forPeople.write(line)
    } catch {
      // Written for people already, or by Node.js itself.
      output.line(printable(line))
    }
  }
}
