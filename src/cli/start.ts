/**
 * `orchestrator-daemon start`: runs a node in the foreground until a signal ends it; in the background with --detach.
 */
import { isatty } from 'node:tty'
import { logLevelOf, openNodeLog } from '../assembly/node-log.js'
import { type Config, type FlagValue, loadConfig } from '../config/load.js'
import { secretsOf } from '../config/secrets.js'
import { Daemon } from '../daemon.js'
import type { Log } from '../telemetry/log.js'
import { sayUp, supervisorOfThis, takeMark } from './background.js'
import { EXIT } from './exit.js'
import { type HeapLimit, hasHeapLimit, heedParent, runWithHeapLimit, usualHeapMb } from './heap-limit.js'
import { Output } from './output.js'
import { PidFile } from './pid-file.js'
import { Reload } from './reload.js'
import { tellServiceManager } from './service-manager.js'

export type StartFlags = Readonly<Record<string, FlagValue>> & {
  readonly pidFile?: string
  readonly detach?: boolean
  /** How long `detach` waits, in ms. */
  readonly timeout?: number
  /** What shows its log; default `orchestrator-daemon logs -f`. */
  readonly logsWith?: string
}

export async function start(flags: StartFlags): Promise<void> {
  const part = takeMark()
  if (part === 'supervisor') process.exit(await (await import('./supervisor.js')).supervise())
  heedParent()
  const read = () => loadConfig({ flags, env: process.env, cwd: process.cwd() })
  const config = read()
  const heap = await heapLimitOf(config)
  if (flags.detach && part === undefined) {
    const { detach, UP_TIMEOUT_MS } = await import('./detach.js')
    const { timeout: timeoutMs = UP_TIMEOUT_MS, logsWith = 'orchestrator-daemon logs -f' } = flags
    return await detach(config, { maxHeapMb: usualHeapMb(heap, process.env), timeoutMs, logsWith })
  }
  if (heap.maxHeapMb !== undefined && !hasHeapLimit(heap, process.env)) {
    process.exit(await runWithHeapLimit(heap.maxHeapMb))
  }
  process.exit(await run(config, read, flags))
}

/** Resolves with the exit code. */
async function run(config: Config, read: () => Config, { pidFile: pidPath }: StartFlags): Promise<number> {
  const logLevel = logLevelOf(config)
  const { log, file, secrets } = openNodeLog(config, logLevel)
  const output = new Output()
  const pidFile = PidFile.claim(config.server, pidPath, log, { log: file?.path, supervisor: supervisorOfThis() })
  const daemon = new Daemon({
    config,
    log,
    logLevel,
    onDead: () => process.exit(EXIT.dead),
    onDrain: () => process.kill(process.pid, 'SIGTERM'),
    onReloaded: ({ logging }) => file?.limit(logging),
    onStarted: (part) => output.step(part),
  })
  guard(log)
  const ended = untilSignal(daemon)
  const readAnew = (): Config => {
    const now = read()
    // Before anything is said about it.
    secrets.add(secretsOf(now))
    return now
  }
  const around = { cwd: process.cwd(), env: process.env }
  const reload = new Reload({ daemon, log, file, read: readAnew, first: config, ...around })
  try {
    await daemon.start()
  } catch (error) {
    return notStarted(error, log, config)
  }
  pidFile.listensOn(daemon.port ?? 0)
  reload.start()
  output.step(`ready${daemon.port === undefined ? '' : ` on port ${daemon.port}`}; Ctrl-C stops it`)
  sayUp(daemon.port)
  tellServiceManager(process.env, (err) => log.warn({ err }, 'systemd could not be told that this daemon is ready'))
  return await ended.finally(() => reload.stop())
}

/** What the settings say, and for a node with sessions its charter too. */
async function heapLimitOf(config: Config): Promise<HeapLimit> {
  const { role, maxHeapMb } = config.server
  const isSetting = maxHeapMb !== undefined
  if (role !== 'worker' && role !== 'all') return { maxHeapMb, isSetting }
  const { charteredHeapMb } = await import('../assembly/charter-parts.js')
  return { maxHeapMb: await charteredHeapMb(config), isSetting }
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
    // Where the terminal has gone, nobody sees or stops the daemon any more; else it is asked to read its settings.
    const hadTerminal = process.stdin.isTTY
    process.on('SIGHUP', () => {
      if (hadTerminal && !isatty(0)) process.emit('SIGTERM')
    })
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
