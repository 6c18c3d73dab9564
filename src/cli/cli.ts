/**
 * The command line: `orchestrator-daemon [start]` and what belongs to it.
 */
import { Command, InvalidArgumentError } from 'commander'
import { ROLES } from '../config/schema.js'
import { VERSION } from '../version.js'
import { start } from './start.js'

/** Carries out one command line. Sets the exit code; returns when there is nothing more to do. */
export async function runCli(argv: readonly string[]): Promise<void> {
  const program = new Command('orchestrator-daemon')
    .description('Runs AI-agent sessions: in one process, or as a node of a cluster.')
    .version(VERSION)
  program
    .command('start', { isDefault: true })
    .description('start a node in the foreground; it stops on SIGTERM or Ctrl-C')
    .option('--role <role>', `one of ${ROLES.join(', ')}; all does everything in one process`)
    .option('-p, --port <port>', 'port for clients; 0 takes a free one', portNumber)
    .option('--host <address>', 'address to listen on')
    .option('--name <name>', 'name of this node')
    .option('--max-sessions <count>', 'sessions at work at one time')
    .option('--log-level <level>', 'debug, info, warn or error')
    .option('--log-format <format>', 'json or text')
    .option('-v, --verbose', 'log everything')
    .action((flags) => start(flags))
  await program.parseAsync(argv)
}

const MAX_PORT = 65_535

function portNumber(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port <= MAX_PORT) return port
  throw new InvalidArgumentError(`a port is a whole number from 0 to ${MAX_PORT}.`)
}
