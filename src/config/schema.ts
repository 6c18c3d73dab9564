/**
 * Every setting, once: its name, kind, default, unit and meaning. `.env.example` is generated from this table, whose
 * sections stand in the folder `schema`.
 */
import { auth } from './schema/access.js'
import { charter, hooks, mcp } from './schema/governance.js'
import { anthropic, budget, claude, memory, neolith, openai } from './schema/models.js'
import { logging, monitoring, tracing } from './schema/observation.js'
import { scheduling, server, session, worker } from './schema/server.js'
import { cluster, database, redis } from './schema/stores.js'
import type { Setting } from './setting.js'

export { API_KEY_ROLES, type ApiKey, type ApiKeyRole } from './api-keys.js'
export { AUTH_MODES, type AuthMode } from './schema/access.js'
export {
  LOG_FORMATS,
  LOG_LEVELS,
  type LogFormat,
  type LogLevel,
  type OtlpProtocol,
  type SamplerName,
} from './schema/observation.js'
export { ROLES, type Role } from './schema/server.js'
export {
  DEFAULT_SHARD_COUNT,
  LOAD_BALANCING_STRATEGIES,
  type LoadBalancingStrategy,
  MAX_SHARD_COUNT,
  MIN_SHARD_COUNT,
} from './schema/stores.js'

export const SETTINGS = {
  openai,
  anthropic,
  claude,
  server,
  auth,
  redis,
  database,
  cluster,
  worker,
  session,
  scheduling,
  charter,
  hooks,
  mcp,
  logging,
  monitoring,
  tracing,
  memory,
  budget,
  neolith,
} as const satisfies Record<string, Record<string, Setting<unknown>>>

type ValueOf<S> = S extends Setting<infer T> ? T : never

/** The values of all settings, in the shape of the table. */
export type Values = {
  readonly [Section in keyof typeof SETTINGS]: {
    readonly [Key in keyof (typeof SETTINGS)[Section]]: ValueOf<(typeof SETTINGS)[Section][Key]>
  }
}

export interface PlacedSetting {
  readonly section: string
  readonly key: string
  readonly setting: Setting<unknown>
}

/** All settings in table order, with the section that each stands in. */
export function allSettings(): readonly PlacedSetting[] {
  return Object.entries(SETTINGS).flatMap(([section, settings]) =>
    Object.entries(settings).map(([key, each]) => ({ section, key, setting: each as Setting<unknown> })),
  )
}
