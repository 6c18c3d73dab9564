/**
 * The log of a node, as the settings want it.
 */
import type { Config } from '../config/load.js'
import type { LogLevel } from '../config/schema.js'
import { secretsOf } from '../config/secrets.js'
import { createLog, type Log } from '../telemetry/log.js'
import { LogFile } from '../telemetry/log-file.js'
import { LogLevelSwitch } from '../telemetry/log-level.js'
import { HiddenWords } from '../telemetry/redact.js'

/** The level that the settings name. */
export const levelOf = ({ server, logging }: Pick<Config, 'server' | 'logging'>): LogLevel =>
  server.verbose || logging.debug ? 'debug' : logging.level

/** At the level that the settings name, for an operator to turn. */
export const logLevelOf = (config: Config): LogLevelSwitch => new LogLevelSwitch(levelOf(config))

export interface NodeLog {
  readonly log: Log
  /** Undefined where lines go to standard output alone. */
  readonly file: LogFile | undefined
  /** What no line may hold: settings that change may bring more of it. */
  readonly secrets: HiddenWords
}

/**
 * Lines go to standard output, where containers and supervisors look, and to the file as well when there is one.
 * @throws Error with one sentence when the file cannot be written.
 */
export function openNodeLog(config: Config, level: LogLevelSwitch): NodeLog {
  const { server, logging } = config
  const { name, role } = server
  const { format, file: path, rotationEnabled, maxSizeMb, maxFiles } = logging
  const file =
    path === undefined
      ? undefined
      : new LogFile({ path, rotationEnabled, maxSizeMb, maxFiles, onError: sayLogFileFailed })
  const secrets = new HiddenWords(secretsOf(config))
  return { log: createLog({ level, format, name, role, file, secrets }), file, secrets }
}

function sayLogFileFailed(error: Error): void {
  process.stderr.write(`Lines are missing from the log file from here on: ${error.message}\n`)
}
