/**
 * Each container of chart and kustomize is given settings with which its program starts, in the image as it is made; and where
 * metrics speak TLS, whoever asks for them does too.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { chartObjects, kustomizeObjects, needHelm, needKubectl, VALUE_SETS, valuesFile } from '../support/charts.js'
import { settingsOf, startedBy } from '../support/container-settings.js'
import { containersOf, daemonsOf, faultsOf, type Manifest } from '../support/manifest-faults.js'

const OVERLAYS = ['k8s/overlays/kind', 'k8s/overlays/production']
const K8S = fileURLToPath(new URL('../../k8s', import.meta.url))
const WITH_TLS = [
  'tls.secret=agents',
  'tls.metrics=true',
  'tls.metricsSecret=inner',
  'monitoring.serviceMonitor.enabled=true',
]

const set = (...values: string[]) => values.flatMap((value) => ['--set', value])
const ours = (all: readonly Manifest[]) =>
  containersOf(all).filter(({ image }) => image.includes('orchestrator-daemon'))

/** What each of our containers would say and do, by its name and the first word of its command. */
function startsOf(all: readonly Manifest[], full = false) {
  return ours(all).map((container) => {
    const started = startedBy(container, all, full)
    const { server, warnings } = settingsOf(started)
    return { what: `${container.name} ${started.command}`, role: server.role, warnings }
  })
}

const NODES = ['coordinator', 'edge', 'worker']
const nodesAmong = (starts: ReturnType<typeof startsOf>) =>
  starts.flatMap(({ what, role }) => (what === 'daemon start' ? [role] : [])).sort()

test.for([
  ...VALUE_SETS.map((name) => ['values', name] as const),
  ...OVERLAYS.map((name) => ['folder', name] as const),
])('each container of the %s %s starts with its settings, and is warned of none', ([kind, name], context) => {
  needHelm(context)
  needKubectl(context)

  const starts = startsOf(kind === 'values' ? chartObjects(valuesFile(name)) : kustomizeObjects(name))

  expect(nodesAmong(starts)).toEqual(NODES)
  expect(starts.flatMap(({ warnings }) => warnings)).toEqual([])
})

test('the migration and the tests of the chart need no secret of clients to start', (context) => {
  needHelm(context)

  const starts = startsOf(chartObjects(set('secret.name=s')))

  expect(starts.map(({ what }) => what).sort()).toEqual([
    ...['daemon start', 'daemon start', 'daemon start', 'health health', 'migration migrate', 'session spawn'],
  ])
})

test('with everything that a Secret may hold, and API keys alone to open the edges, the other roles start too', (context) => {
  needHelm(context)

  const starts = startsOf(chartObjects(set('secret.name=s', 'settings.DAEMON_AUTH_MODE=api-key')), true)

  expect(nodesAmong(starts)).toEqual(NODES)
})

/** Whether each daemon serves metrics over TLS, and how it is asked. */
const schemesOf = (all: readonly Manifest[]) =>
  daemonsOf(all).map((container) => {
    const { monitoring, server } = settingsOf(startedBy(container, all))
    const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe]
    return {
      speaks: monitoring.metricsTls ? 'HTTPS' : 'HTTP',
      asked: [...new Set(probes.map((probe) => probe?.httpGet?.scheme ?? 'HTTP'))],
      certificate: server.tlsCertFile,
      mounted: container.volumeMounts?.some(({ name }) => name === 'tls') ?? false,
    }
  })

/** Which Secret with a key is in which pod that runs the service, by role. */
const keysOf = (all: readonly Manifest[]) =>
  Object.fromEntries(
    all.flatMap(({ spec }) => {
      const pod = spec?.template?.spec
      const secret = pod?.volumes?.find(({ name }) => name === 'tls')?.secret?.secretName
      const [daemon] = pod?.containers.filter(({ name }) => name === 'daemon') ?? []
      return daemon && secret !== undefined ? [[startedBy(daemon, []).environment.DAEMON_ROLE, secret]] : []
    }),
  )

const monitorOf = (all: readonly Manifest[]) => all.find(({ kind }) => kind === 'ServiceMonitor')?.spec?.endpoints?.[0]
const SECURED = { speaks: 'HTTPS', asked: ['HTTPS'], certificate: '/etc/orchestrator-tls/tls.crt', mounted: true }
const PLAIN = { speaks: 'HTTP', asked: ['HTTP'], certificate: undefined, mounted: false }

describe('TLS', () => {
  test('without it the chart asks for plain pages', (context) => {
    needHelm(context)
    const all = chartObjects(set('secret.name=s', 'monitoring.serviceMonitor.enabled=true'))

    expect(schemesOf(all)).toEqual([PLAIN, PLAIN, PLAIN])
    expect(monitorOf(all)?.scheme).toBeUndefined()
  })

  test('of the metrics of the chart: probes and Prometheus ask over TLS, and the certificate is there', (context) => {
    needHelm(context)
    const all = chartObjects(set('secret.name=s', ...WITH_TLS))

    expect(schemesOf(all)).toEqual([SECURED, SECURED, SECURED])
    expect(monitorOf(all)).toMatchObject({ scheme: 'https', tlsConfig: { insecureSkipVerify: true } })
    expect(faultsOf(all)).toEqual([])
    expect(keysOf(all)).toEqual({ edge: 'agents', worker: 'inner', coordinator: 'inner' })
    expect(startsOf(all).flatMap(({ warnings }) => warnings)).toEqual([])
  })

  test('of the edges alone: metrics stay plain, and no other pod has their key', (context) => {
    needHelm(context)
    const all = chartObjects(set('secret.name=s', 'tls.secret=agents'))

    const edge = { ...PLAIN, certificate: SECURED.certificate, mounted: true }
    expect(schemesOf(all).sort((a) => (a.mounted ? -1 : 1))).toEqual([edge, PLAIN, PLAIN])
    expect(keysOf(all)).toEqual({ edge: 'agents' })
    expect(nodesAmong(startsOf(all))).toEqual(NODES)
  })

  test.for([
    ['nginx', 'nginx.ingress.kubernetes.io/backend-protocol'],
    ['haproxy', 'haproxy.org/server-ssl'],
    ['alb', 'alb.ingress.kubernetes.io/backend-protocol'],
  ] as const)(
    'the ingress controller %s speaks TLS to such edges, and plain to others',
    ([controller, name], context) => {
      needHelm(context)
      const ingress = (...values: string[]) =>
        chartObjects(
          set(
            'secret.name=s',
            'ingress.enabled=true',
            'ingress.host=a.b',
            `ingress.controller=${controller}`,
            ...values,
          ),
        ).find(({ kind }) => kind === 'Ingress')?.metadata.annotations?.[name]

      expect([ingress(), ingress('tls.secret=agents')]).toEqual([undefined, expect.stringMatching(/^(HTTPS|true)$/)])
    },
  )

  test('of the component of kustomize is that of the chart', (context) => {
    needKubectl(context)
    const folder = mkdtempSync(join(tmpdir(), 'kustomize-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const parts = ['stores', 'ingress', 'monitoring', 'tls'].map((name) =>
      relative(folder, join(K8S, 'components', name)),
    )
    const overlay = { kind: 'Kustomization', resources: [relative(folder, join(K8S, 'base'))], components: parts }
    writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(overlay))

    const all = kustomizeObjects(folder)

    expect(schemesOf(all)).toEqual([SECURED, SECURED, SECURED])
    expect(monitorOf(all)).toMatchObject({ scheme: 'https', tlsConfig: { insecureSkipVerify: true } })
    expect(keysOf(all)).toEqual({
      ...{ edge: 'orchestrator-daemon-tls', worker: 'orchestrator-daemon-metrics-tls' },
      coordinator: 'orchestrator-daemon-metrics-tls',
    })
    expect(faultsOf(all)).toEqual([])
  })
})

describe('memory for objects', () => {
  const heapsOf = (values: readonly string[]) =>
    Object.fromEntries(
      daemonsOf(chartObjects(values)).map((container) => {
        const { environment } = startedBy(container, [])
        return [environment.DAEMON_ROLE, environment.NODE_OPTIONS]
      }),
    )
  const heap = (mb: number) => `--max-old-space-size=${mb}`

  test('is half of what a pod has, and 2048 MB at most', (context) => {
    needHelm(context)

    expect(heapsOf(set('secret.name=s'))).toEqual({ edge: heap(256), worker: heap(512), coordinator: heap(192) })
    const amounts = set('worker.resources.limits.memory=16Gi', 'edge.resources.limits.memory=1.5G')
    expect(heapsOf([...set('secret.name=s'), ...amounts])).toMatchObject({ edge: heap(715), worker: heap(2048) })
  })

  test('is what the settings say, where they say something', (context) => {
    needHelm(context)

    const said = heapsOf(set('secret.name=s', 'settings.DAEMON_MAX_HEAP_MB=4096'))
    const foreign = heapsOf(set('secret.name=s', 'settings.NODE_OPTIONS=--trace-warnings'))

    expect(said).toEqual({ edge: heap(4096), worker: heap(4096), coordinator: heap(4096) })
    expect(foreign).toEqual({ edge: undefined, worker: undefined, coordinator: undefined })
  })
})
