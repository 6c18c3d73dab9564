/**
 * The log of a node, as the settings want it.
 */
import type { Config } from '../config/load.js'
import { secretsOf } from '../config/secrets.js'
import { createLog, type Log } from '../telemetry/log.js'
import type { LogFileOptions } from '../telemetry/log-file.js'
import { LogLevelSwitch } from '../telemetry/log-level.js'
import type { LogOutput } from '../telemetry/log-text.js'

/** The level that the settings name, for an operator to turn. */
export const logLevelOf = ({ server, logging }: Config): LogLevelSwitch =>
  new LogLevelSwitch(server.verbose ? 'debug' : logging.level)

/**
 * Lines go to standard output, where containers and supervisors look, and to the file as well when there is one.
 * @throws Error with one sentence when the file cannot be written.
 */
export async function openNodeLog(config: Config, level: LogLevelSwitch): Promise<Log> {
  const { server, logging } = config
  const { name, role } = server
  const { format, file: path, ...rotation } = logging
  const file = path === undefined ? undefined : await openFile({ path, ...rotation, onError: sayLogFileFailed })
  return createLog({ level, format, name, role, file, secrets: secretsOf(config) })
}

/** What rotates files is loaded by those who have one. */
async function openFile(options: LogFileOptions): Promise<LogOutput> {
  const { openLogFile } = await import('../telemetry/log-file.js')
  return await openLogFile(options)
}

function sayLogFileFailed(error: Error): void {
  process.stderr.write(`Lines are missing from the log file from here on: ${error.message}\n`)
}
