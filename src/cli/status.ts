/**
 * `orchestrator-daemon status`: whether a daemon runs, and its figures. Exit code 0 when one runs, also when it does not
 * tell its figures, and 1 when none does.
 */
import type { DaemonStatus } from '../protocol/replies.js'
import { type ConnectionFlags, explained, findDaemon, NothingThere, openClient } from './connection.js'
import { CommandFailure, EXIT } from './exit.js'
import { type Colours, duration, fields, Output, table } from './output.js'
import { pidFolder, runningNodes } from './pid-files.js'

export interface StatusFlags extends ConnectionFlags {
  readonly json?: true
}

export async function status(flags: StatusFlags): Promise<void> {
  const output = new Output()
  const address = findDaemon(flags)
  try {
    const client = await openClient(address)
    const figures = await client.status().finally(() => client.close())
    if (flags.json) output.json(figures)
    else for (const line of pageOf(figures, output.colours)) output.line(line)
  } catch (error) {
    const failure = explained(error, address.url)
    if (!(failure instanceof CommandFailure)) throw failure
    unreachable(failure, new URL(address.url), flags, output)
  }
}

/** Somebody who refuses us runs, and so does a process that has not come to listening yet. */
function unreachable(failure: CommandFailure, { hostname, port }: URL, flags: StatusFlags, output: Output): void {
  const runs = !(failure instanceof NothingThere) || (flags.url === undefined && runsHere(hostname, Number(port)))
  const word = runs ? 'running' : 'stopped'
  if (!runs) process.exitCode = EXIT.failed
  if (flags.json) output.json({ status: word, reason: failure.message })
  else output.line(`${runs ? output.colours.yellow(word) : output.colours.red(word)}: ${failure.message}`)
}

const runsHere = (hostname: string, port: number): boolean =>
  ['127.0.0.1', 'localhost', '[::1]'].includes(hostname) && runningNodes(pidFolder()).some((node) => node.port === port)

/** What people want to know, in few lines. */
export function pageOf(figures: DaemonStatus, colours: Colours): string[] {
  const { bold, green, yellow } = colours
  const word = figures.status === 'running' ? green('running') : yellow(figures.status)
  const { totalSessionsSpawned: spawned, totalTasksProcessed: tasks, totalTokensUsed: tokens } = figures.metrics
  return [
    `${bold(figures.name)} ${figures.version} ${word}`,
    '',
    ...fields(
      {
        uptime: duration(figures.uptime),
        sessions: `${figures.activeSessions} at work of ${figures.maxSessions}, ${spawned} in all`,
        tasks: `${figures.queuedTasks} waiting, ${tasks} done`,
        tokens: String(tokens),
        memory: `${figures.memoryUsageMB} MB`,
        cpu: `${figures.cpuUsagePercent} %`,
      },
      colours,
    ),
    '',
    ...table(Object.entries(figures.subsystems).map(([name, part]) => [name, part.status])),
  ]
}
