/**
 * Each service of the compose files starts with its settings, also where `.env` holds what is meant for another installation.
 */
import { describe, expect, test } from 'vitest'
import { settingsOf } from '../../support/container-settings.js'
import { parseYaml, readText } from '../../support/deployment-files.js'

interface Service {
  readonly environment?: Readonly<Record<string, string | number>>
  readonly env_file?: object
  readonly command?: readonly string[]
}

const SECRET = 'a-secret-of-at-least-thirty-two-characters'
/** Of a daemon without containers: stores of its own, TLS, files of this machine. */
const FOREIGN = {
  DAEMON_HOST: '10.0.0.1',
  DAEMON_PORT: '1234',
  DAEMON_JWT_SECRET: SECRET,
  DAEMON_JWT_PREVIOUS_SECRETS: JSON.stringify([`former-${SECRET}`]),
  METRICS_PORT: '1235',
  REDIS_SENTINELS: 'sentinel:26379',
  REDIS_DB: '3',
  DATABASE_URL: 'postgres://elsewhere/database',
  LOG_FILE: '/var/log/daemon.log',
}
const TLS = { METRICS_TLS: 'true', DAEMON_TLS_CERT_FILE: '/etc/tls.crt', DAEMON_TLS_KEY_FILE: '/etc/tls.key' }

/** `${NAME:-fallback}` and `${NAME:?reason}`, as compose fills them in. */
const filled = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replace(/\$\{([A-Z_]+)(?::[-?]([^}]*))?\}/g, (_all, name: string, fallback = '') => env[name] || fallback)

/** Our services of a file with the command that they run and the settings that they read. */
function startsOf(path: string, env: Readonly<Record<string, string>>) {
  const [file] = parseYaml(readText(path)) as { services: Record<string, Service> }[]
  const own = Object.entries(file?.services ?? {}).filter(([, { env_file: asked }]) => asked !== undefined)
  return own.map(([name, { environment = {}, command: [command = 'start'] = [] }]) => {
    const set = Object.entries(environment).map(([key, value]) => [key, filled(String(value), env)])
    return { name, ...settingsOf({ command, environment: { ...env, ...Object.fromEntries(set) } }) }
  })
}

describe.each([
  ['docker-compose.cluster.yml', ['edge', 'worker', 'coordinator', 'migration']],
  ['deploy/compose.yml', ['daemon']],
  ['deploy/compose.dev.yml', ['daemon']],
])('%s', (path, names) => {
  test('starts each of its services with a secret alone', () => {
    const starts = startsOf(path, { DAEMON_JWT_SECRET: SECRET })

    expect(starts.map(({ name }) => name)).toEqual(names)
    expect(starts.flatMap(({ warnings }) => warnings)).toEqual([])
  })

  test('has its own stores and ports, whatever else `.env` says', () => {
    for (const { name, server, monitoring, redis, database, logging } of startsOf(path, FOREIGN)) {
      expect(redis, name).toMatchObject({ url: 'redis://redis:6379', sentinels: undefined, db: 0 })
      expect(database.url, name).toContain('@postgres:5432/')
      expect([server.port, monitoring.metricsPort, logging.file], name).toEqual([8787, 9090, undefined])
    }
  })
})

test('the roles of the cluster speak plain HTTP, as the balancer, the checks and Prometheus expect', () => {
  for (const { name, server, monitoring } of startsOf('docker-compose.cluster.yml', { ...FOREIGN, ...TLS })) {
    expect([monitoring.metricsTls, server.tlsCertFile], name).toEqual([false, undefined])
  }
  expect(readText('deploy/haproxy.cfg')).not.toMatch(/check-ssl|ssl verify/)
  expect(readText('deploy/monitoring/prometheus.yml')).not.toContain('scheme: https')
})

test('only the edges of the cluster know secrets of clients, those of before a rotation too', () => {
  const known = startsOf('docker-compose.cluster.yml', FOREIGN).flatMap(({ name, auth }) =>
    auth.jwtSecret !== undefined || auth.jwtPreviousSecrets.length > 0 ? [name] : [],
  )

  expect(known).toEqual(['edge'])
})

test('one daemon of compose may speak TLS, and its health check then asks over TLS', () => {
  const [daemon] = startsOf('deploy/compose.yml', { ...FOREIGN, ...TLS })

  expect([daemon?.monitoring.metricsTls, daemon?.server.tlsKeyFile]).toEqual([true, '/etc/tls.key'])
  expect(readText('deploy/health-check.mjs')).toMatch(/hasTls \? 'https' : 'http'/)
})
