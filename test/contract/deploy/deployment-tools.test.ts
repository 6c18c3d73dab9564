/**
 * The tools that people deploy with on one machine accept the files; those of Kubernetes are in test/charts. A tool that this
 * machine does not have skips its tests, loudly.
 */
import { devNull } from 'node:os'
import { expect, type TestContext, test, vi } from 'vitest'
import { needTool, outputOf, runTool } from '../../support/deployment-files.js'

/** The tools answer within a second on an idle machine, and are told to end after 30 s. */
vi.setConfig({ testTimeout: 60_000 })

const needCompose = (context: TestContext) => needTool(context, 'docker', 'compose', 'version')

const CLUSTER = ['docker-compose.cluster.yml']
const SECRET = { DAEMON_JWT_SECRET: 'x'.repeat(32) }
const compose = (files: readonly string[], env: Record<string, string>, ...args: string[]) =>
  runTool('docker', ['compose', '--env-file', devNull, ...files.flatMap((file) => ['-f', file]), ...args], env)

test.for([...CLUSTER, 'docker-compose.yml', 'docker-compose.dev.yml'])(
  'a start of %s without a secret names the variable and says how to make one',
  (file, context) => {
    needCompose(context)

    const { status, stderr } = compose([file], {}, 'config', '--quiet')

    expect(status).not.toBe(0)
    expect(stderr).toMatch(/DAEMON_JWT_SECRET.*make one with "openssl rand -hex 32" and put it into \.env/)
  },
)

interface Services {
  readonly services: Readonly<Record<string, { readonly deploy?: { readonly replicas: number } }>>
}

/** What compose makes of the files. */
const servicesOf = (...files: string[]) =>
  (JSON.parse(outputOf(compose(files, SECRET, '--profile', '*', 'config', '--format', 'json'))) as Services).services

test('with a secret the compose cluster has three edges, four workers and two coordinators', (context) => {
  needCompose(context)

  expect(servicesOf(...CLUSTER)).toMatchObject({
    edge: { deploy: { replicas: 3 } },
    worker: { deploy: { replicas: 4 } },
    coordinator: { deploy: { replicas: 2 } },
    prometheus: { profiles: ['monitoring'] },
    grafana: { profiles: ['monitoring'] },
  })
})

test('with Sentinels every role finds Redis by them, and starts when they answer', (context) => {
  needCompose(context)

  const services = servicesOf(...CLUSTER, 'deploy/compose.sentinel.yml')

  for (const role of ['edge', 'worker', 'coordinator'])
    expect(services[role]).toMatchObject({
      environment: { REDIS_URL: '', REDIS_SENTINELS: 'sentinel-1:26379,sentinel-2:26379,sentinel-3:26379' },
      depends_on: { 'sentinel-1': { condition: 'service_healthy' }, migration: expect.anything() },
    })
  expect(services['redis-3']).toMatchObject({ environment: { NAME: 'redis-3', PRIMARY: 'redis' } })
})

test('on a Redis Cluster every role starts when the slots are dealt', (context) => {
  needCompose(context)

  const services = servicesOf(...CLUSTER, 'deploy/compose.redis-cluster.yml')

  for (const role of ['edge', 'worker', 'coordinator'])
    expect(services[role]).toMatchObject({
      environment: { REDIS_URL: '', REDIS_CLUSTER_NODES: 'redis:6379,redis-2:6379,redis-3:6379' },
      depends_on: { 'redis-slots': { condition: 'service_completed_successfully' }, migration: expect.anything() },
    })
  expect(Object.keys(services).filter((name) => /^redis(-\d)?$/.test(name))).toHaveLength(6)
})

test.for([
  ['docker-compose.yml', ['daemon', 'postgres', 'redis']],
  ['docker-compose.dev.yml', ['daemon', 'pgadmin', 'postgres', 'redis', 'redis-insight']],
] as const)('C-26, C-27: %s is the daemon with its stores', ([file, names], context) => {
  needCompose(context)

  expect(Object.keys(servicesOf(file)).sort()).toEqual(names)
})

test('the balancer accepts its configuration', (context) => {
  needTool(context, 'haproxy', '-v')

  outputOf(runTool('haproxy', ['-c', '-f', 'deploy/haproxy.cfg']))
})
