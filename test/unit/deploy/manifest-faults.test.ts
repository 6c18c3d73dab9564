/**
 * The judge of Kubernetes objects finds each kind of fault that it is there for.
 */
import { expect, test } from 'vitest'
import { faultsOf, type Manifest } from '../../support/manifest-faults.js'

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
    metadata: { name: 'edge' },
    spec: { selector: { app: 'edge' } as object, ports: [{ targetPort: 'clients' }] },
  },
  edge: {
    kind: 'Deployment',
    metadata: { name: 'edge' },
    spec: {
      selector: { matchLabels: { app: 'edge' } },
      template: {
        metadata: { labels: { app: 'edge' } },
        spec: {
          serviceAccountName: 'daemon',
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
  ['Service edge: no pod listens on its port web', ({ service }) => (service.spec.ports = [{ targetPort: 'web' }])],
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
    'Deployment edge: its pods get variables of Services',
    ({ edge }) => (edge.spec.template.spec.enableServiceLinks = true),
  ],
])('it finds "%s"', (fault, change) => {
  expect(judge(change)).toContain(fault)
})
