/**
 * `orchestrator-daemon start`: runs a node in the foreground until a signal ends it.
 */
import { logLevelOf, openNodeLog } from '../assembly/node-log.js'
import { type Config, type FlagValue, loadConfig } from '../config/load.js'
import { Daemon } from '../daemon.js'
import type { Log } from '../telemetry/log.js'
import { EXIT } from './exit.js'
import { hasHeapLimit, heedParent, runWithHeapLimit } from './heap-limit.js'
import { Output } from './output.js'
import { PidFile } from './pid-file.js'

export type StartFlags = Readonly<Record<string, FlagValue>> & { readonly pidFile?: string }

export async function start(flags: StartFlags): Promise<void> {
  heedParent()
  const config = loadConfig({ flags, env: process.env, cwd: process.cwd() })
  const maxHeapMb = await heapLimitOf(config)
  if (maxHeapMb !== undefined && !hasHeapLimit(maxHeapMb, process.env)) {
    process.exit(await runWithHeapLimit(maxHeapMb))
  }
  const logLevel = logLevelOf(config)
  const log = await openNodeLog(config, logLevel)
  const output = new Output()
  const pidFile = PidFile.claim(config.server, flags.pidFile, log)
  const daemon = new Daemon({
    config,
    log,
    logLevel,
    onDead: () => process.exit(EXIT.dead),
    onDrain: () => process.kill(process.pid, 'SIGTERM'),
    onStarted: (part) => output.step(part),
  })
  guard(log)
  const ended = untilSignal(daemon)
  try {
    await daemon.start()
  } catch (error) {
    process.exit(notStarted(error, log, config))
  }
  pidFile.listensOn(daemon.port ?? 0)
  output.step(`ready${daemon.port === undefined ? '' : ` on port ${daemon.port}`}; Ctrl-C stops it`)
  process.exit(await ended)
}

/** What the settings say, and for a node with sessions its charter too. */
async function heapLimitOf(config: Config): Promise<number | undefined> {
  const { role, maxHeapMb } = config.server
  if (role !== 'worker' && role !== 'all') return maxHeapMb
  const { charteredHeapMb } = await import('../assembly/charter-parts.js')
  return await charteredHeapMb(config)
}

/**
 * Says once why, and returns the exit code. Somebody at a terminal gets the sentence alone; otherwise it is a line of the
 * log, which supervisors and a log file keep. Where it happened goes into the log of those who ask for everything.
 */
function notStarted(error: unknown, log: Log, { logging }: Config): number {
  const sentence = `could not start: ${error instanceof Error ? error.message : String(error)}`
  log.debug({ err: error }, 'why it could not start')
  if (process.stdout.isTTY && logging.file === undefined) process.stderr.write(`error: ${sentence}\n`)
  else log.error({}, sentence)
  return EXIT.failed
}

/** The first signal stops in order, a second one at once. */
function untilSignal(daemon: Daemon): Promise<number> {
  return new Promise((resolve) => {
    let asked = false
    const stop = (code: number) => () => {
      if (asked) process.exit(EXIT.failed)
      asked = true
      void daemon.stop().then(() => resolve(code))
    }
    process.on('SIGTERM', stop(EXIT.ok))
    process.on('SIGINT', stop(EXIT.interrupted))
  })
}

/** A bug must end the process loudly: another node takes its work over, and a supervisor starts it again. */
function guard(log: Log): void {
  const end = (error: unknown) => {
    log.error({ err: error }, 'a bug ended this process')
    process.exit(EXIT.dead)
  }
  process.on('uncaughtException', end)
  process.on('unhandledRejection', end)
}
