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

const compose = (env: Record<string, string>, ...args: string[]) =>
  runTool('docker', ['compose', '--env-file', devNull, '-f', 'docker-compose.cluster.yml', ...args], env)
const render = (...values: string[]) => runTool('helm', ['template', 'try', 'helm', ...values])
const manifestsIn = (text: string) => parseYaml(text) as Manifest[]

/** Names of secret values by role, as the pods get them. */
const secretsByRole = (manifests: readonly Manifest[]) =>
  daemonsOf(manifests).map(({ env = [] }) =>
    env.filter(({ valueFrom }) => valueFrom?.secretKeyRef).map((it) => it.name),
  )

test('a compose start without a secret names the variable and says how to make one', (context) => {
  needCompose(context)

  const { status, stderr } = compose({}, 'config', '--quiet')

  expect(status).not.toBe(0)
  expect(stderr).toMatch(/DAEMON_JWT_SECRET.*make one with "openssl rand -hex 32" and put it into \.env/)
})

test('with a secret the compose cluster has three edges, two workers and two coordinators', (context) => {
  needCompose(context)

  const config = outputOf(compose({ DAEMON_JWT_SECRET: 'x'.repeat(32) }, 'config', '--format', 'json'))

  const { services } = JSON.parse(config) as { services: Record<string, { deploy?: { replicas: number } }> }
  expect(services).toMatchObject({
    edge: { deploy: { replicas: 3 } },
    worker: { deploy: { replicas: 2 } },
    coordinator: { deploy: { replicas: 2 } },
  })
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
