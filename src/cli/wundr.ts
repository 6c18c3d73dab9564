/**
 * `wundr orchestrator …`: one daemon of this user, with its settings, pid and log in ~/.wundr/orchestrator-daemon. The
 * other words of `wundr` belong to another package.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { loadConfig } from '../config/load.js'
import { hint } from '../config/nearest.js'
import { VERSION } from '../version.js'
import { runCli } from './cli.js'
import { CommandFailure } from './exit.js'
import { configOption, jsonOption, logsOptions, portNumber, wholeNumber } from './options.js'
import { runningNode } from './pid-files.js'

const MAX_TIMEOUT_MS = 600_000
const STOP_TIMEOUT_MS = 10_000
const WORDS = ['orchestrator']

/** The files of the daemon that `wundr` knows. */
export interface WundrFiles {
  readonly config: string
  readonly pid: string
  readonly log: string
}

function wundrFiles(env: NodeJS.ProcessEnv = process.env): WundrFiles {
  const folder = join(env.HOME || homedir(), '.wundr', 'orchestrator-daemon')
  return { config: join(folder, 'config.yaml'), pid: join(folder, 'daemon.pid'), log: join(folder, 'daemon.log') }
}

/** Carries out one command line; see `runCli`. */
export const runWundr = (argv: readonly string[]): Promise<void> => runCli(argv, program)

function program(): Command {
  const root = new Command('wundr')
    .description('`wundr orchestrator` of this package; everything else of `wundr` is in @wundr.io/cli')
    .version(VERSION)
    .argument('[word]')
    .allowExcessArguments()
    .allowUnknownOption()
    .action((word: string | undefined) => {
      if (word === undefined) return root.help()
      throw new CommandFailure(
        `\`wundr ${word}\` belongs to @wundr.io/cli; this package brings \`wundr orchestrator\`${hint(word, WORDS)}`,
      )
    })
  const orchestrator = root.command('orchestrator').description('the orchestrator daemon of this user')
  const files = wundrFiles()
  addStart(orchestrator, files)
  addRunning(orchestrator, files)
  addConfig(orchestrator, files)
  return root
}

function addStart(orchestrator: Command, files: WundrFiles): void {
  orchestrator
    .command('start')
    .description('start the daemon')
    .option('-p, --port <port>', 'port for clients', portNumber)
    .addOption(configOption())
    .option('-v, --verbose', 'log everything')
    .option('-d, --detach', 'run in the background; returns when clients may come')
    .option('--timeout <ms>', 'how long --detach waits; default 60000', wholeNumber(1, MAX_TIMEOUT_MS))
    .action(async (flags) => {
      const { ensureSettingsFile } = await import('./config-file.js')
      if (flags.config === undefined) ensureSettingsFile(files.config)
      const own = withConfig(flags, files)
      // In the foreground too: `logs` looks there.
      const { logging } = loadConfig({ flags: own, env: process.env, cwd: process.cwd() })
      if (logging.file === undefined) process.env.LOG_FILE = files.log
      await (await import('./start.js')).start({ ...own, pidFile: files.pid, logsWith: 'wundr orchestrator logs -f' })
    })
}

function addRunning(orchestrator: Command, files: WundrFiles): void {
  orchestrator
    .command('status', { isDefault: true })
    .description('whether it runs, and its figures; exit code 0 running, 1 stopped')
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async (flags) => {
      const node = runningNode(files.pid)
      const where = node ? { host: node.host, port: node.port } : {}
      await (await import('./status.js')).status({ ...withConfig(flags, files), ...where })
    })
  orchestrator
    .command('stop')
    .description('stop it')
    .option('-f, --force', 'kill it at once')
    .option(
      '-t, --timeout <ms>',
      'how long to wait before it is killed',
      wholeNumber(1, MAX_TIMEOUT_MS),
      STOP_TIMEOUT_MS,
    )
    .addOption(jsonOption())
    .action(async (flags) => (await import('./stop.js')).stop(undefined, { ...flags, pidFile: files.pid }))
  logsOptions(orchestrator.command('logs')).action(async (flags) =>
    (await import('./logs.js')).logs({ ...flags, pidFile: files.pid, log: files.log }),
  )
}

function addConfig(orchestrator: Command, files: WundrFiles): void {
  const config = orchestrator.command('config').description('show or change its settings')
  config
    .command('show', { isDefault: true })
    .description('the settings that a start would use, and where each came from')
    .addOption(jsonOption())
    .action(async (flags) => (await import('./config.js')).config(withConfig(flags, files)))
  config
    .command('set')
    .description('write a setting, such as daemon.port=9090, into its file; what is live takes effect at once')
    .argument('<key=value>')
    .action(async (pair) => (await import('./config-file.js')).setSetting(files.config, pair))
  config
    .command('reset')
    .description('forget what was set')
    .option('--force', 'really')
    .action(async (flags) => (await import('./config-file.js')).resetSettings(files.config, flags.force === true))
}

/** The file of `wundr`, where it is there and no other one is named. */
function withConfig<F extends { readonly config?: string }>(flags: F, { config }: WundrFiles): F {
  return flags.config === undefined && existsSync(config) ? { ...flags, config } : flags
}
