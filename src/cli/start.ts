/**
 * `orchestrator-daemon start`: runs a node in the foreground until a signal ends it.
 */
import { ConfigError, type FlagValue, loadConfig } from '../config/load.js'
import { Daemon } from '../daemon.js'
import { createLog, type Log } from '../telemetry/log.js'

/** Exit codes; the first two are those that shells expect. */
const EXIT = { ok: 0, failed: 1, interrupted: 130, dead: 70 } as const

export async function start(flags: Readonly<Record<string, FlagValue>>): Promise<void> {
  const config = readConfig(flags)
  if (!config) {
    process.exitCode = EXIT.failed
    return
  }
  const { verbose, name, role } = config.server
  const { level, format } = config.logging
  const log = createLog({ level: verbose ? 'debug' : level, format, name, role })
  const daemon = new Daemon({ config, log, onDead: () => process.exit(EXIT.dead) })
  guard(log)
  const ended = untilSignal(daemon)
  try {
    await daemon.start()
  } catch (error) {
    log.error({ err: error }, `could not start: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(EXIT.failed)
  }
  process.exit(await ended)
}

function readConfig(flags: Readonly<Record<string, FlagValue>>) {
  try {
    return loadConfig({ flags, env: process.env, cwd: process.cwd() })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`The settings are not right:\n${error.mistakes.map((it) => `  - ${it}\n`).join('')}`)
    return undefined
  }
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
