/**
 * The command line: every command with its options. What a command does is loaded when it is called, so that `status`
 * does not wait for the parts of a worker.
 */
import { Command, InvalidArgumentError, Option } from 'commander'
import { ConfigError } from '../config/load.js'
import { hint } from '../config/nearest.js'
import { ROLES } from '../config/schema.js'
import { VERSION } from '../version.js'
import { addAuditCommands } from './audit-commands.js'
import { isBackground } from './background.js'
import { CommandFailure, EXIT } from './exit.js'
import { clientOptions, configOption, jsonOption, logsOptions, portNumber, urlOption, wholeNumber } from './options.js'
import { addSessionCommands } from './session-commands.js'

const MAX_TIMEOUT_MS = 600_000
const DEFAULT_TIMEOUT_MS = 5_000
const MAX_RETRIES = 100
const DEFAULT_RETRIES = 3
const DEFAULT_CHAOS_MINUTES = 5
const MAX_CHAOS_MINUTES = 24 * 60
const MAX_CHAOS_NODES = 16
const DEFAULT_CHAOS_RATE = 200
const MAX_CHAOS_RATE = 5_000
const MAX_SOCKETS = 10_000
const DEFAULT_SOCKETS = 2_000
const MAX_AWAY_S = 3_600
const MAX_SEED = 2 ** 31

/** Carries out one command line. Sets the exit code; returns when there is nothing more to do. */
export async function runCli(argv: readonly string[], root: () => Command = program): Promise<void> {
  try {
    await root().parseAsync(argv)
  } catch (error) {
    process.stderr.write(`${sentenceOf(error)}\n`)
    process.exitCode = error instanceof CommandFailure ? error.exitCode : EXIT.failed
    // Whatever a failed start has left behind must not keep the process.
    if (process.exitCode !== EXIT.ok) process.exit()
  }
}

/** Never a stack: whoever wants one finds it in the log of the daemon. */
function sentenceOf(error: unknown): string {
  if (error instanceof ConfigError) {
    return `The settings are not right:\n${error.mistakes.map((mistake) => `  - ${mistake}`).join('\n')}`
  }
  return `error: ${error instanceof Error ? error.message : String(error)}`
}

function program(): Command {
  const root = new Command('orchestrator-daemon')
    .description('Runs AI-agent sessions: in one process, or as a node of a cluster.')
    .version(VERSION)
    .configureOutput({ outputError: (text, write) => write(`${text.trim().replaceAll('\n', ' ')}\n`) })
  addStart(root)
  addDaemonCommands(root)
  addLogs(root)
  addSessionCommands(root)
  addClusterCommands(root)
  addAuditCommands(root)
  addToolCommands(root)
  addChaos(root)
  return root
}

function addStart(root: Command): void {
  const start = root.command('start', { isDefault: true }).description('start a node in the foreground')
  startOptions(start)
    .allowExcessArguments()
    .action(async (flags, command: Command) => {
      refuseUnknownCommand(root, command.args[0])
      await (await import('./start.js')).start(detaching(flags))
    })
  startOptions(root.command('restart').description('stop the daemon of these settings and start it anew')).action(
    async (flags) => {
      // In the background the same command line is carried out again, by the processes that take the place of the old ones.
      if (!isBackground()) await (await import('./stop.js')).stop(undefined, { ...flags, timeout: undefined })
      await (await import('./start.js')).start(detaching(flags))
    },
  )
}

/** `--daemon` is what the reference calls it. */
const detaching = <F extends { detach?: boolean; daemon?: boolean }>(flags: F): F =>
  flags.daemon ? { ...flags, detach: true } : flags

const startOptions = (command: Command): Command =>
  settingOptions(command)
    .option('--pid-file <path>', 'where to note the pid; default: where `stop` looks for it')
    .option('-d, --detach', 'run in the background; returns when clients may come, and starts it again when it fails')
    .addOption(new Option('--daemon', 'as --detach').hideHelp())
    .option('--timeout <ms>', 'how long --detach waits; default 60000', wholeNumber(1, MAX_TIMEOUT_MS))
    .addHelpText(
      'after',
      `
It stops on SIGTERM (exit code 0) or Ctrl-C (130); a second signal ends it at once (1). Settings that \`config\` calls live
are read again on SIGHUP, and when a file that they come from is saved.`,
    )

/** Options that stand for settings. */
const settingOptions = (command: Command): Command =>
  command
    .option('--role <role>', `one of ${ROLES.join(', ')}; all does everything in one process`)
    .option('-p, --port <port>', 'port for clients; 0 takes a free one', portNumber)
    .option('--host <address>', 'address to listen on')
    .addOption(configOption())
    .option('--name <name>', 'name of this node')
    .option('--max-sessions <count>', 'sessions at work at one time')
    .option('-l, --log-level <level>', 'debug, info, warn or error')
    .option('--log-format <format>', 'json or text')
    .option('-v, --verbose', 'log everything')

// An unknown word would otherwise be an argument of `start`, and be refused without a proposal.
function refuseUnknownCommand(root: Command, word: string | undefined): void {
  if (word === undefined) return
  const names = root.commands.map((command) => command.name())
  root.error(`error: unknown command '${word}'${hint(word, names)}; see --help`)
}

function addDaemonCommands(root: Command): void {
  clientOptions(root.command('status'))
    .description('whether a daemon runs, and its figures; exit code 0 running, 1 stopped')
    .action(async (flags) => (await import('./status.js')).status(flags))
  root
    .command('health')
    .description('ask the health page; exit code 0 healthy, 1 not')
    .addOption(urlOption())
    .option('-p, --port <port>', 'port to ask', portNumber)
    .option('--host <address>', 'address to ask')
    .option('--role <role>', 'a role without clients is asked on its metrics port')
    .addOption(configOption())
    .option('--timeout <ms>', 'for one try', wholeNumber(1, MAX_TIMEOUT_MS), DEFAULT_TIMEOUT_MS)
    .option('--retries <count>', 'tries in all', wholeNumber(1, MAX_RETRIES), DEFAULT_RETRIES)
    .option('-v, --verbose', 'show every try and the whole page')
    .addOption(jsonOption())
    .action(async (flags) => (await import('./health.js')).health(flags))
  clientOptions(root.command('stop'))
    .description('stop a session, or without one the daemon that was started on this machine')
    .argument('[session]', 'id of a session')
    .option('--role <role>', 'role of the daemon to stop')
    .option('--name <name>', 'name of the daemon to stop')
    .option('--pid-file <path>', 'the file that its start was given')
    .option('--timeout <ms>', 'how long to wait before it is killed; default 15000', wholeNumber(1, MAX_TIMEOUT_MS))
    .option('-f, --force', 'kill it at once')
    .addHelpText('after', '\nExit code 0 when it has stopped or did not run, 1 when it had to be killed.')
    .action(async (session, flags) => (await import('./stop.js')).stop(session, flags))
}

function addLogs(root: Command): void {
  logsOptions(root.command('logs'))
    .option('-p, --port <port>', 'port of the daemon', portNumber)
    .option('--role <role>', 'role of the daemon')
    .option('--name <name>', 'name of the daemon')
    .option('--pid-file <path>', 'the file that its start was given')
    .addOption(configOption())
    .action(async (flags) => (await import('./logs.js')).logs(flags))
}

/** Commands for operators: they read Redis and PostgreSQL themselves, so that they also work when no edge does. */
function addClusterCommands(root: Command): void {
  const cluster = root
    .command('cluster')
    .description('look at a cluster and move its work; needs REDIS_URL and DATABASE_URL')
  const command = (name: string, what: string): Command =>
    cluster.command(name).description(what).addOption(configOption()).addOption(jsonOption())
  command('status', 'nodes with their load, the leader, and shards by state').action(async (flags) =>
    (await import('./cluster-status.js')).clusterStatus(flags),
  )
  command('ring', 'which shards each worker has, its fair share, and what the hash ring prefers').action(
    async (flags) => (await import('./cluster-status.js')).clusterRing(flags),
  )
  command('drain', 'move everything away from a node, which then ends')
    .argument('[node]', 'id of the node, or its name')
    .option('--self', 'the node that DAEMON_NAME names, for hooks that run beside it')
    .option('--no-wait', 'return at once')
    .action(async (node, flags) => (await import('./cluster-drain.js')).clusterDrain(node, flags))
  command('move', 'move a shard to a worker, where it stays for ten minutes at least')
    .argument('<session|shard>', 'number of the shard, or id of a session in it')
    .argument('<worker>', 'id of the worker, or its name')
    .action(async (what, where, flags) => (await import('./cluster-move.js')).clusterMove(what, where, flags))
  command('rebalance', 'let the leader look at the load and move what is worth it')
    .option('--dry-run', 'only show what would move')
    .action(async (flags) => (await import('./cluster-move.js')).clusterRebalance(flags))
}

function addToolCommands(root: Command): void {
  root
    .command('token')
    .description('sign a token for a client with DAEMON_JWT_SECRET')
    .option('--tenant <tenant>', 'whose sessions its holder may see', 'local')
    .option('--subject <subject>', 'who the holder is; default the tenant')
    .option('--role <role>', 'admin, user or readonly', 'user')
    .option('--expires <time>', 'how long it holds, such as 90s, 15m, 24h or 7d; default DAEMON_JWT_EXPIRATION')
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async (flags) => (await import('./token.js')).token(flags))
  root
    .command('migrate')
    .description('bring the database at DATABASE_URL, or in DATA_DIR, to the structure of this version')
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async (flags) => (await import('./migrate.js')).migrate(flags))
  settingOptions(root.command('config'))
    .description('print the settings that a start would use, without secrets, and where each came from')
    .addOption(jsonOption())
    .action(async (flags) => (await import('./config.js')).config(flags))
}

function addChaos(root: Command): void {
  const chaos = root.command('chaos').description('faults on purpose')
  chaos
    .command('verify')
    .description('start a cluster with its own Redis and PostgreSQL, harm it under load, and judge every guarantee')
    .option('--minutes <n>', 'how long faults are done', minutesOf, DEFAULT_CHAOS_MINUTES)
    .option('--seed <n>', 'brings a run back; default a random one', wholeNumber(0, MAX_SEED))
    .option('--faults <list>', 'only these, such as T1,T4; default all that this machine can do', (text) =>
      text.split(','),
    )
    .option('--workers <n>', 'workers', wholeNumber(2, MAX_CHAOS_NODES), 3)
    .option('--edges <n>', 'edges', wholeNumber(2, MAX_CHAOS_NODES), 2)
    .option('--coordinators <n>', 'coordinators', wholeNumber(1, MAX_CHAOS_NODES), 2)
    .option('--rate <n>', 'commands a second', wholeNumber(1, MAX_CHAOS_RATE), DEFAULT_CHAOS_RATE)
    .option('--sockets <n>', 'client sockets on an edge that is killed', wholeNumber(1, MAX_SOCKETS), DEFAULT_SOCKETS)
    .option('--sentinel', 'let nodes find Redis by a Sentinel, and let that one fail over')
    .option(
      '--postgres-away <s>',
      'how long PostgreSQL is away at first; default 2 to 20 s',
      wholeNumber(1, MAX_AWAY_S),
    )
    .option('--redis-url <url>', 'use this Redis, and do no faults to it')
    .option('--database-url <url>', 'use a new database of this PostgreSQL, and do no faults to it')
    .option('--keep', 'keep journals and logs of the run')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExit code 0 when every guarantee held, 1 when one did not, 130 on Ctrl-C. Nothing is left behind.',
    )
    .action(async (flags) => (await import('./chaos.js')).chaosVerify(flags))
}

function minutesOf(text: string): number {
  const value = Number(text)
  if (value > 0 && value <= MAX_CHAOS_MINUTES) return value
  throw new InvalidArgumentError(`it must be a number above 0, at most ${MAX_CHAOS_MINUTES}.`)
}
