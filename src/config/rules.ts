/**
 * Rules that hold between settings.
 */
import type { Values } from './schema.js'

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/

/** What is wrong between values that are right each by itself, one sentence each. A command is no node: it lets nobody in. */
export function* brokenRules(values: Values, isNode = true): Generator<string> {
  const { role } = values.server
  yield* missingStores(values)
  // The other roles have no clients, and so no secrets of them either.
  if (isNode && (role === 'all' || role === 'edge')) {
    yield* openDoors(values)
    yield* uselessDoors(values)
  }
  yield* halfCertificates(values)
  yield* contradictions(values)
  yield* shrinkingBudgets(values)
}

function* missingStores({ server, redis, database }: Values): Generator<string> {
  if (server.role === 'all') return
  const reason = `role ${server.role} meets the other roles in Redis and PostgreSQL only`
  if (!redis.url && !redis.clusterNodes && !redis.sentinels) yield `REDIS_URL is missing: ${reason}`
  if (!database.url) yield `DATABASE_URL is missing: ${reason}`
}

function* openDoors({ server, auth }: Values): Generator<string> {
  const locked = auth.jwtSecret !== undefined || auth.jwksUrl !== undefined || auth.apiKeys.length > 0
  if (locked || LOOPBACK.test(server.host)) return
  const keys = 'without it or DAEMON_AUTH_API_KEYS'
  yield `DAEMON_JWT_SECRET is missing: ${keys} the daemon listens on loopback only, not on ${server.host}`
}

function* halfCertificates({ server, monitoring }: Values): Generator<string> {
  const { tlsCertFile: cert, tlsKeyFile: key, tlsKeyPassphrase: passphrase } = server
  if (cert !== undefined && key === undefined)
    yield 'DAEMON_TLS_KEY_FILE is missing: DAEMON_TLS_CERT_FILE needs its key'
  if (cert === undefined && (key ?? passphrase) !== undefined) {
    yield 'DAEMON_TLS_CERT_FILE is missing: a key is of no use without its certificate'
  }
  if (cert === undefined && monitoring.metricsTls) yield 'DAEMON_TLS_CERT_FILE is missing: METRICS_TLS needs it'
}

/** Nobody, or not all that should, could come in. */
function* uselessDoors({ auth }: Values): Generator<string> {
  if (auth.jwtPreviousSecrets.length > 0 && auth.jwtSecret === undefined) {
    yield 'DAEMON_JWT_SECRET is missing: DAEMON_JWT_PREVIOUS_SECRETS holds those from before it'
  }
  if (auth.mode === 'api-key' && auth.apiKeys.length === 0) {
    yield 'DAEMON_AUTH_API_KEYS is missing: with DAEMON_AUTH_MODE=api-key nobody could come in without it'
  }
  const hasTokens = auth.jwtSecret !== undefined || auth.jwksUrl !== undefined
  if (auth.mode === 'jwt' && !hasTokens && auth.apiKeys.length > 0) {
    yield 'DAEMON_JWT_SECRET is missing: with DAEMON_AUTH_MODE=jwt nobody could come in, and API keys count for nothing'
  }
}

function* contradictions({ redis, auth }: Values): Generator<string> {
  const ways = { REDIS_URL: redis.url, REDIS_CLUSTER_NODES: redis.clusterNodes, REDIS_SENTINELS: redis.sentinels }
  const given = Object.entries(ways).flatMap(([name, value]) => (value === undefined ? [] : [name]))
  if (given.length > 1) yield `${given.join(' and ')} exclude each other; set one of them`
  if (redis.clusterNodes && redis.db !== 0) yield `REDIS_DB must be 0 on a Redis Cluster, not ${redis.db}`
  yield* weakKeys(auth)
}

function* weakKeys({ jwksUrl }: Values['auth']): Generator<string> {
  if (jwksUrl === undefined) return
  const { protocol, hostname } = new URL(jwksUrl)
  if (protocol === 'https:' || LOOPBACK.test(hostname)) return
  yield `DAEMON_JWKS_URL must start with https://: whoever can change an answer of ${hostname} could let anybody in`
}

function* shrinkingBudgets({ budget }: Values): Generator<string> {
  if (budget.weekly < budget.daily) {
    yield `TOKEN_BUDGET_WEEKLY must be at least TOKEN_BUDGET_DAILY, but ${budget.weekly} is less than ${budget.daily}`
  }
  if (budget.monthly < budget.weekly) {
    yield `TOKEN_BUDGET_MONTHLY must be at least TOKEN_BUDGET_WEEKLY, but ${budget.monthly} is less than ${budget.weekly}`
  }
}
