/**
 * What files and variables of the reference call settings that this table has elsewhere, so that they can be taken as
 * they are: `security.jwt.secret` in a file, and WUNDR_SECURITY_JWT_SECRET in the environment.
 */
import { allSettings, SETTINGS } from './schema.js'
import type { Setting } from './setting.js'

/** What the reference calls sections. */
const SECTION_ALIASES: Readonly<Record<string, string>> = {
  daemon: 'server',
  security: 'auth',
  distributed: 'cluster',
  tokenBudget: 'budget',
}

/** By path in a file: the name in the environment. */
const PATHS: Readonly<Record<string, string>> = {
  'daemon.healthCheckIntervalMs': 'DAEMON_HEALTH_CHECK_INTERVAL',
  'security.jwt.secret': 'DAEMON_JWT_SECRET',
  'security.jwt.expiration': 'DAEMON_JWT_EXPIRATION',
  'security.jwt.issuer': 'DAEMON_JWT_ISSUER',
  'security.jwt.audience': 'DAEMON_JWT_AUDIENCE',
  'security.cors.enabled': 'DAEMON_CORS_ENABLED',
  'security.cors.origins': 'DAEMON_CORS_ORIGINS',
  'security.rateLimit.enabled': 'DAEMON_RATE_LIMIT_ENABLED',
  'security.rateLimit.max': 'DAEMON_RATE_LIMIT_MAX',
  'security.rateLimit.windowMs': 'DAEMON_RATE_LIMIT_WINDOW',
  'memory.maxHeapMB': 'DAEMON_MAX_HEAP_MB',
  'memory.compaction.enabled': 'MEMORY_COMPACTION_ENABLED',
  'memory.compaction.threshold': 'MEMORY_COMPACTION_THRESHOLD',
  'logging.rotation.enabled': 'LOG_ROTATION_ENABLED',
  'logging.rotation.maxSizeMB': 'LOG_MAX_SIZE',
  'logging.rotation.maxFiles': 'LOG_MAX_FILES',
  'monitoring.metrics.enabled': 'METRICS_ENABLED',
  'monitoring.metrics.port': 'METRICS_PORT',
  'monitoring.metrics.path': 'METRICS_PATH',
  'monitoring.healthCheck.enabled': 'HEALTH_CHECK_ENABLED',
  'monitoring.healthCheck.path': 'HEALTH_CHECK_PATH',
  'monitoring.tracing.enabled': 'TRACING_ENABLED',
  'monitoring.tracing.sampleRate': 'OTEL_TRACES_SAMPLER_ARG',
  'monitoring.tracing.maxSpans': 'OTEL_BSP_MAX_QUEUE_SIZE',
  'monitoring.tracing.spanTtlMs': 'TRACING_SPAN_TTL_MS',
  'distributed.clusterName': 'CLUSTER_NAME',
  'distributed.loadBalancingStrategy': 'LOAD_BALANCING_STRATEGY',
  'tokenBudget.alerts.enabled': 'TOKEN_BUDGET_ALERTS_ENABLED',
  'tokenBudget.alerts.threshold': 'TOKEN_BUDGET_ALERT_THRESHOLD',
  'budget.dailyLimit': 'TOKEN_BUDGET_DAILY',
  'budget.monthlyLimit': 'TOKEN_BUDGET_MONTHLY',
  'budget.warningThreshold': 'TOKEN_BUDGET_ALERT_THRESHOLD',
  nodeEnv: 'NODE_ENV',
  debug: 'DEBUG',
}

/** Parts of such files that mean nothing here; they may stay, and are warned of. */
const WITHOUT_EFFECT = [
  ...['meta', 'agents', 'channels', 'models', 'plugins', 'env', 'identity', 'subsystems'],
  ...['daemon.reload', 'memory.backend', 'memory.citations', 'memory.qmd', 'memory.compaction.strategy'],
  ...['security.audit', 'security.mtls', 'security.jwt.refreshWindow', 'security.rateLimit.strategy'],
  ...['security.cors.methods', 'security.cors.maxAge', 'logging.structured'],
  ...['hooks.enabled', 'hooks.defaultTimeoutMs', 'hooks.maxConcurrency', 'hooks.hooks'],
  ...['tokenBudget.alerts.channels', 'budget.criticalThreshold'],
]

/** What stands in for them, where something does. */
const INSTEAD: Readonly<Record<string, string>> = {
  safety: 'what is approved or refused stands in the charter, see CHARTER_FILE',
  'security.audit': 'the audit log is always kept',
}

/** The unit at the end of a key may be left out. */
const UNIT = /(Ms|Seconds|Mb)$/

/** Name of a section here, for one in a file. */
export const sectionCalled = (name: string): string | undefined =>
  Object.hasOwn(SETTINGS, name) ? name : SECTION_ALIASES[name]

/** All settings by their paths in files. */
export const settingsByPath: ReadonlyMap<string, Setting<unknown>> = new Map([
  ...allSettings().flatMap(({ section, key, setting }) =>
    namesOfSection(section).flatMap((name) =>
      [key, key.replace(UNIT, '')].map((inner) => [`${name}.${inner}`, setting] as const),
    ),
  ),
  ...Object.entries(PATHS).flatMap(([path, env]) => {
    const found = allSettings().find(({ setting }) => setting.env === env)
    return found ? [[path, found.setting] as const] : []
  }),
])

/** Why a part of a file has no effect; undefined where it is not one of those that are known to have none. */
export function withoutEffect(path: string): string | undefined {
  const instead = INSTEAD[path]
  if (instead !== undefined) return `has no effect: ${instead}`
  return WITHOUT_EFFECT.includes(path) ? 'has no effect in this version' : undefined
}

/** Whether paths go on below this one. */
export const goesOn = (path: string): boolean => [...settingsByPath.keys()].some((each) => each.startsWith(`${path}.`))

/** Variables such as WUNDR_DAEMON_PORT that stand for a setting, by its name. */
export const wundrNames: ReadonlyMap<string, readonly string[]> = namesByEnv()

/** Beginnings of variables that can be meant for us only. */
export const WUNDR_SECTIONS: readonly string[] = [...Object.keys(SETTINGS), ...Object.keys(SECTION_ALIASES)].map(
  (section) => `WUNDR_${upperSnake(section)}_`,
)

function namesOfSection(section: string): string[] {
  const aliases = Object.entries(SECTION_ALIASES).flatMap(([alias, name]) => (name === section ? [alias] : []))
  return [section, ...aliases]
}

function namesByEnv(): Map<string, string[]> {
  const names = new Map<string, string[]>()
  for (const [path, { env }] of settingsByPath) {
    const name = `WUNDR_${path.split('.').map(upperSnake).join('_')}`
    names.set(env, [...(names.get(env) ?? []), name])
  }
  return names
}

/** `maxHeapMB` is MAX_HEAP_MB. */
function upperSnake(text: string): string {
  return text.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()
}
