/**
 * The judge of Kubernetes objects finds each kind of fault that it is there for.
 */
import { expect, test } from 'vitest'
import { faultsOf, type Manifest } from '../../support/manifest-faults.js'

const PORT = { name: 'clients', port: 80, targetPort: 'clients' }

type Change = (objects: ReturnType<typeof soundObjects>) => void

const soundObjects = () => ({
  account: { kind: 'ServiceAccount', metadata: { name: 'daemon' } },
  settings: {
    kind: 'ConfigMap',
    metadata: { name: 'settings' },
    data: { LOG_LEVEL: 'info' } as Record<string, string>,
  },
  service: {
    kind: 'Service',
    metadata: { name: 'edge', labels: { watched: 'yes' } },
    spec: { selector: { app: 'edge' } as object, ports: [PORT] },
  },
  policy: {
    kind: 'NetworkPolicy',
    metadata: { name: 'edge' },
    spec: { podSelector: { matchLabels: { app: 'edge' } } },
  },
  scaler: {
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'edge' },
    spec: { scaleTargetRef: { kind: 'Deployment', name: 'edge' } },
  },
  ingress: {
    kind: 'Ingress',
    metadata: { name: 'door' },
    spec: {
      rules: [{ http: { paths: [{ backend: { service: { name: 'edge', port: { name: 'clients' } } } }] } }],
    },
  },
  route: {
    kind: 'HTTPRoute',
    metadata: { name: 'door' },
    spec: { rules: [{ backendRefs: [{ name: 'edge', port: 80 }] }] },
  },
  monitor: {
    kind: 'ServiceMonitor',
    metadata: { name: 'all' },
    spec: { selector: { matchLabels: { watched: 'yes' } }, endpoints: [{ port: 'clients' }] },
  },
  edge: {
    kind: 'Deployment',
    metadata: { name: 'edge' },
    spec: {
      replicas: undefined as number | undefined,
      selector: { matchLabels: { app: 'edge' } },
      template: {
        metadata: { labels: { app: 'edge' } },
        spec: {
          serviceAccountName: 'daemon',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          containers: [soundContainer()],
          volumes: [{ name: 'tmp' }],
        },
      },
    },
  },
})

const soundContainer = () => ({
  name: 'daemon',
  image: 'registry.example:5000/daemon:2.0.0',
  resources: { requests: { cpu: '1' }, limits: { memory: '1Gi' } as object },
  env: [{ name: 'DAEMON_ROLE' }],
  envFrom: [{ configMapRef: { name: 'settings' } }],
  ports: [{ name: 'clients', containerPort: 8787 }],
  volumeMounts: [{ name: 'tmp' }],
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  },
  readinessProbe: { httpGet: { path: '/ready', port: 'clients' } },
})

function judge(change: Change = () => {}): string[] {
  const objects = soundObjects()
  change(objects)
  return faultsOf(Object.values(objects) as Manifest[])
}

const container = ({ edge }: ReturnType<typeof soundObjects>) =>
  edge.spec.template.spec.containers[0] ?? soundContainer()

test('sound objects have no faults', () => {
  expect(judge()).toEqual([])
})

test.each<[string, Change]>([
  ['Service edge: its selector matches no pod', ({ service }) => (service.spec.selector = { app: 'edges' })],
  [
    'Service edge: no pod listens on its port web',
    ({ service }) => (service.spec.ports[0] = { ...PORT, targetPort: 'web' }),
  ],
  [
    'Deployment edge: its selector does not match its own pods',
    ({ edge }) => (edge.spec.selector.matchLabels = { app: 'other' }),
  ],
  ['Deployment edge: ServiceAccount daemon does not exist', ({ account }) => (account.metadata.name = 'other')],
  ['Deployment edge: ConfigMap settings does not exist', ({ settings }) => (settings.metadata.name = 'other')],
  ['ConfigMap settings: LOG_LEVLE is not a setting', ({ settings }) => (settings.data = { LOG_LEVLE: 'info' })],
  ['Deployment edge: DAEMON_ROLL is not a setting', (all) => (container(all).env = [{ name: 'DAEMON_ROLL' }])],
  ['Deployment edge: image daemon:latest has no version', (all) => (container(all).image = 'daemon:latest')],
  ['Deployment edge: image host:5000/daemon has no version', (all) => (container(all).image = 'host:5000/daemon')],
  ['Deployment edge: volume data does not exist', (all) => (container(all).volumeMounts = [{ name: 'data' }])],
  ['Deployment edge: a probe asks the port metrics', (all) => (container(all).readinessProbe.httpGet.port = 'metrics')],
  [
    'Deployment edge: a container may gain rights',
    (all) => (container(all).securityContext.allowPrivilegeEscalation = true),
  ],
  [
    'Deployment edge: a container may write to its image',
    (all) => (container(all).securityContext.readOnlyRootFilesystem = false),
  ],
  [
    'Deployment edge: a container keeps capabilities',
    (all) => (container(all).securityContext.capabilities.drop = ['NET_RAW']),
  ],
  [
    'Deployment edge: its pods may run as root',
    ({ edge }) => (edge.spec.template.spec.securityContext.runAsNonRoot = false),
  ],
  [
    'NetworkPolicy edge: its selector matches no pod',
    ({ policy }) => (policy.spec.podSelector.matchLabels.app = 'other'),
  ],
  ['ServiceMonitor all: its selector matches no Service', ({ service }) => (service.metadata.labels.watched = 'no')],
  ['ServiceMonitor all: a Service has no port web', ({ monitor }) => (monitor.spec.endpoints = [{ port: 'web' }])],
  [
    'HorizontalPodAutoscaler edge: Deployment edges does not exist',
    ({ scaler }) => (scaler.spec.scaleTargetRef.name = 'edges'),
  ],
  ['HorizontalPodAutoscaler edge: edge says how many pods it wants', ({ edge }) => (edge.spec.replicas = 3)],
  ['Ingress door: Service edge has no such port', ({ service }) => (service.spec.ports[0] = { ...PORT, name: 'web' })],
  ['HTTPRoute door: Service edge has no such port', ({ service }) => (service.spec.ports[0] = { ...PORT, port: 81 })],
  ['Deployment edge: a container says not what it needs', (all) => (container(all).resources.limits = {})],
  [
    'Deployment edge: its pods may call the API of Kubernetes',
    ({ edge }) => (edge.spec.template.spec.automountServiceAccountToken = true),
  ],
  [
    'Deployment edge: its pods get variables of Services',
    ({ edge }) => (edge.spec.template.spec.enableServiceLinks = true),
  ],
])('it finds "%s"', (fault, change) => {
  expect(judge(change)).toContain(fault)
})
