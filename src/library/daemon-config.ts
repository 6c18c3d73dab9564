/**
 * What a program passes to `new OrchestratorDaemon(…)`: the settings that most programs name, in camel case, and any other
 * setting under its name in the environment. What is passed comes before environment and `.env`.
 */
import { type Config, ConfigError, loadConfig } from '../config/load.js'
import { allSettings, type LogLevel } from '../config/schema.js'

/** All optional; what is left out comes from the environment, `.env`, or the defaults. Times in ms. */
export interface OrchestratorDaemonConfig {
  readonly name?: string
  /** Port for clients; 0 takes a free one. */
  readonly port?: number
  readonly host?: string
  /** Sessions at work at one time. */
  readonly maxSessions?: number
  /** Between pings to clients. */
  readonly heartbeatInterval?: number
  readonly shutdownTimeout?: number
  readonly verbose?: boolean
  readonly logLevel?: LogLevel
  /** Any setting under its name in the environment: `DATA_DIR`, `REDIS_URL`, … */
  readonly [setting: Uppercase<string>]: string | number | boolean | undefined
}

const NAMES: Readonly<Record<string, string>> = {
  name: 'DAEMON_NAME',
  port: 'DAEMON_PORT',
  host: 'DAEMON_HOST',
  maxSessions: 'DAEMON_MAX_SESSIONS',
  heartbeatInterval: 'DAEMON_HEARTBEAT_INTERVAL',
  shutdownTimeout: 'DAEMON_SHUTDOWN_TIMEOUT',
  verbose: 'DAEMON_VERBOSE',
  logLevel: 'LOG_LEVEL',
}

/** @throws ConfigError that lists everything that is wrong. */
export function readDaemonConfig(given: OrchestratorDaemonConfig, env: NodeJS.ProcessEnv, cwd: string): Config {
  const known = namesOfSettings()
  const mistakes: string[] = []
  const passed: Record<string, string> = {}
  for (const [key, value] of Object.entries(given)) {
    const name = known.get(NAMES[key] ?? key)
    if (name === undefined) mistakes.push(`${key} is no setting; .env.example lists all of them`)
    else if (value !== undefined) passed[name] = String(value)
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return loadConfig({ flags: {}, env: { ...env, ...passed }, cwd })
}

/** Every name of a setting, aliases too, with the name that is looked at first: nothing may stand before what was passed. */
function namesOfSettings(): ReadonlyMap<string, string> {
  const pairs = allSettings().flatMap(({ setting }) =>
    [setting.env, ...setting.aliases].map((name) => [name, setting.env] as const),
  )
  return new Map(pairs)
}
