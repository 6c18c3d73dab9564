/**
 * Reads the settings: flags before environment before `.env` before defaults. Says everything that is wrong at once.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { allSettings, type Values } from './schema.js'
import type { Setting } from './setting.js'

export interface Config extends Values {
  /** Hash tags in use: 16 on Redis Cluster, else 1. */
  readonly lanes: 1 | 16
  /** Sentences for the log: nothing that keeps the daemon from starting. */
  readonly warnings: readonly string[]
}

export type FlagValue = string | number | boolean | undefined

export interface ConfigSources {
  /** Options of the command line, in camel case; those that belong to no setting are passed over. */
  readonly flags: Readonly<Record<string, FlagValue>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where `.env` is looked for. */
  readonly cwd: string
}

/** One or more settings are wrong; the message lists all of them, one sentence per line, without any secret. */
export class ConfigError extends Error {
  constructor(readonly mistakes: readonly string[]) {
    super(mistakes.join('\n'))
    this.name = 'ConfigError'
  }
}

const CLUSTER_LANES = 16
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/

/** @throws ConfigError */
export function loadConfig(sources: ConfigSources): Config {
  const mistakes: string[] = []
  const file = readEnvFile(sources.cwd, mistakes)
  const values = readValues([fromFlags(sources.flags), fromNames(sources.env), fromNames(file)], mistakes)
  // Rules between settings read only values that are right, so they wait until all are.
  if (mistakes.length === 0) mistakes.push(...brokenRules(values))
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return {
    ...values,
    lanes: values.redis.clusterNodes ? CLUSTER_LANES : 1,
    warnings: unknownNames({ ...file, ...sources.env }),
  }
}

/** Where a value may come from: undefined means that this source does not have it. */
type Source = (setting: Setting<unknown>) => string | undefined

function fromFlags(flags: ConfigSources['flags']): Source {
  return ({ flag }) => {
    const value = flag === undefined ? undefined : flags[flag]
    return value === undefined ? undefined : String(value)
  }
}

// An empty value counts as absent: `REDIS_URL=` in a compose file means that there is no Redis.
function fromNames(names: ConfigSources['env']): Source {
  return ({ env, aliases }) => [env, ...aliases].map((name) => names[name]?.trim()).find((value) => value)
}

function readEnvFile(cwd: string, mistakes: string[]): ConfigSources['env'] {
  const path = join(cwd, '.env')
  try {
    return parseEnv(readFileSync(path, 'utf8')) as ConfigSources['env']
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') mistakes.push(`${path} could not be read: ${message}`)
    return {}
  }
}

function readValues(sources: readonly Source[], mistakes: string[]): Values {
  const values: Record<string, Record<string, unknown>> = {}
  for (const { section, key, setting } of allSettings()) {
    const given = sources.map((source) => source(setting)).find((value) => value !== undefined) ?? setting.fallback
    values[section] ??= {}
    values[section][key] = given === undefined ? undefined : parse(setting, given, mistakes)
  }
  return values as unknown as Values // The table that built it is the one that the type is made from.
}

function parse(setting: Setting<unknown>, given: string, mistakes: string[]): unknown {
  const result = setting.kind.type.safeParse(given)
  if (result.success) return result.data
  const found = setting.secret ? '' : `, not "${given}"`
  mistakes.push(`${setting.env} must be ${setting.kind.expected}${found}`)
  return undefined
}

/** Rules that hold between settings; design: a role of its own meets the others in Redis and PostgreSQL only. */
function* brokenRules({ server, auth, redis, database }: Values): Generator<string> {
  if (server.role !== 'all') {
    const reason = `role ${server.role} meets the other roles in Redis and PostgreSQL only`
    if (!redis.url && !redis.clusterNodes) yield `REDIS_URL is missing: ${reason}`
    if (!database.url) yield `DATABASE_URL is missing: ${reason}`
  }
  const listens = server.role === 'all' || server.role === 'edge'
  const locked = auth.jwtSecret !== undefined || auth.apiKeys.length > 0
  if (listens && !locked && !LOOPBACK.test(server.host)) {
    yield `DAEMON_JWT_SECRET (or DAEMON_AUTH_API_KEYS) is missing: without it the daemon listens on loopback only, not on ${server.host}`
  }
  if (redis.url && redis.clusterNodes) yield 'REDIS_URL and REDIS_CLUSTER_NODES exclude each other; set one of them'
  if (redis.clusterNodes && redis.db !== 0) yield `REDIS_DB must be 0 on a Redis Cluster, not ${redis.db}`
}

function unknownNames(names: ConfigSources['env']): string[] {
  const known = new Set(allSettings().flatMap(({ setting }) => [setting.env, ...setting.aliases]))
  return Object.keys(names)
    .filter((name) => name.startsWith('DAEMON_') && !known.has(name))
    .sort()
    .map((name) => `${name} is not a setting of this version and has no effect`)
}
