/**
 * The tools that people deploy with accept the files, and what comes out of them holds together. A tool that this machine
 * does not have skips its tests, loudly.
 */
import { devNull } from 'node:os'
import { expect, type TestContext, test, vi } from 'vitest'
import { needTool, outputOf, parseYaml, runTool } from '../../support/deployment-files.js'
import { daemonsOf, faultsOf, type Manifest } from '../../support/manifest-faults.js'

/** The tools answer within a second on an idle machine, and are told to end after 30 s. */
vi.setConfig({ testTimeout: 60_000 })

const needCompose = (context: TestContext) => needTool(context, 'docker', 'compose', 'version')
const needHelm = (context: TestContext) => needTool(context, 'helm', 'version', '--short')
const needKubectl = (context: TestContext) => needTool(context, 'kubectl', 'version', '--client')

const CLUSTER = ['docker-compose.cluster.yml']
const SECRET = { DAEMON_JWT_SECRET: 'x'.repeat(32) }
const compose = (files: readonly string[], env: Record<string, string>, ...args: string[]) =>
  runTool('docker', ['compose', '--env-file', devNull, ...files.flatMap((file) => ['-f', file]), ...args], env)
const render = (...values: string[]) => runTool('helm', ['template', 'try', 'helm', ...values])
const manifestsIn = (text: string) => parseYaml(text) as Manifest[]

/** Names of secret values by role, as the pods get them. */
const secretsByRole = (manifests: readonly Manifest[]) =>
  daemonsOf(manifests).map(({ env = [] }) =>
    env.filter(({ valueFrom }) => valueFrom?.secretKeyRef).map((it) => it.name),
  )

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
] as const)('%s is the daemon with its stores', ([file, names], context) => {
  needCompose(context)

  expect(Object.keys(servicesOf(file)).sort()).toEqual(names)
})

test.for(['bundled', 'external'])('helm finds nothing wrong with the chart and %s stores', (stores, context) => {
  needHelm(context)
  const values = ['-f', `helm/ci/${stores}-values.yaml`]

  outputOf(runTool('helm', ['lint', '--strict', 'helm', ...values]))
  const manifests = manifestsIn(outputOf(render(...values)))

  expect(daemonsOf(manifests)).toHaveLength(3)
  expect(faultsOf(manifests)).toEqual([])
})

test('a number in the values of the chart arrives as it was written', (context) => {
  needHelm(context)

  const manifests = manifestsIn(outputOf(render('-f', 'helm/ci/external-values.yaml')))

  const settings = manifests.find(({ kind }) => kind === 'ConfigMap')?.data
  expect(settings).toMatchObject({ DAEMON_MAX_MESSAGE_BYTES: '2097152', WEB_FETCH_ALLOW_PRIVATE: 'false' })
})

test.for([
  ['no Secret', [], /secret\.name is missing: make a Secret with the key DAEMON_JWT_SECRET/],
  ['no edges', ['secret.name=s', 'edge.replicas=0'], /edge[./]replicas.*(greater than or equal to|minimum).* 1/],
  ['a name that means nothing', ['secret.name=s', 'edge.replica=3'], /replica\W.*not allowed/],
  ['a secret in plain sight', ['secret.name=s', 'settings.DAEMON_JWT_SECRET=x'], /DAEMON_JWT_SECRET/],
  ['an unpinned image', ['secret.name=s', 'image.tag=latest'], /image[./]tag/],
  ['an ingress without a host', ['secret.name=s', 'ingress.enabled=true'], /ingress/],
] as const)('the chart refuses %s', ([, values, sentence], context) => {
  needHelm(context)

  const { status, stderr } = render(...values.flatMap((value) => ['--set', value]))

  expect(status).not.toBe(0)
  expect(stderr).toMatch(sentence)
})

test.for([
  ['k8s/base', 10],
  ['k8s/overlays/kind', 14],
] as const)('kustomize builds %s, and its objects hold together', ([folder, count], context) => {
  needKubectl(context)

  const manifests = manifestsIn(outputOf(runTool('kubectl', ['kustomize', folder])))

  expect(manifests).toHaveLength(count)
  expect(faultsOf(manifests)).toEqual([])
})

test('a pod gets only the secrets that its role needs, from the chart and from kustomize alike', (context) => {
  needHelm(context)
  needKubectl(context)
  const stores = ['REDIS_URL', 'DATABASE_URL']

  const fromChart = secretsByRole(manifestsIn(outputOf(render('-f', 'helm/ci/external-values.yaml'))))
  const fromKustomize = secretsByRole(manifestsIn(outputOf(runTool('kubectl', ['kustomize', 'k8s/base']))))

  for (const roles of [fromChart, fromKustomize]) {
    expect(roles).toEqual([
      stores,
      [...stores, 'DAEMON_JWT_SECRET', 'DAEMON_AUTH_API_KEYS'],
      [...stores, 'OPENAI_API_KEY', 'ANTHROPIC_API_KEY'],
    ])
  }
})

test('the balancer accepts its configuration', (context) => {
  needTool(context, 'haproxy', '-v')

  outputOf(runTool('haproxy', ['-c', '-f', 'deploy/haproxy.cfg']))
})
