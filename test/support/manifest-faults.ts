/**
 * What is wrong with a set of Kubernetes objects that belong together: references that lead nowhere, pods that the
 * `restricted` standard refuses, images without a version, settings that do not exist. Fields and types are checked by
 * Kubernetes itself; this finds what it accepts and what then does not work.
 */
import { settingNames } from './deployment-files.js'

type Labels = Readonly<Record<string, string>>

interface NamedPort {
  readonly name?: string
  readonly containerPort: number
}

interface Variable {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: {
    readonly secretKeyRef?: { readonly name: string; readonly key: string; readonly optional?: boolean }
  }
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly args?: readonly string[]
  readonly env?: readonly Variable[]
  readonly envFrom?: readonly { readonly configMapRef?: { readonly name: string } }[]
  readonly ports?: readonly NamedPort[]
  readonly volumeMounts?: readonly { readonly name: string }[]
  readonly resources?: { readonly requests?: Labels; readonly limits?: Labels }
  readonly securityContext?: {
    readonly allowPrivilegeEscalation?: boolean
    readonly readOnlyRootFilesystem?: boolean
    readonly capabilities?: { readonly drop?: readonly string[] }
  }
  readonly startupProbe?: Probe
  readonly readinessProbe?: Probe
  readonly livenessProbe?: Probe
}

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string | number; readonly scheme?: string }
}

interface PodSpec {
  readonly serviceAccountName?: string
  readonly automountServiceAccountToken?: boolean
  readonly enableServiceLinks?: boolean
  readonly securityContext?: { readonly runAsNonRoot?: boolean; readonly seccompProfile?: { readonly type?: string } }
  readonly containers: readonly Container[]
  readonly initContainers?: readonly Container[]
  readonly volumes?: readonly {
    readonly name: string
    readonly configMap?: { readonly name: string }
    readonly secret?: { readonly secretName: string }
  }[]
}

interface Selector {
  readonly matchLabels?: Labels
}

interface Backend {
  readonly service: { readonly name: string; readonly port: { readonly name?: string; readonly number?: number } }
}

interface IngressRule {
  readonly http?: { readonly paths: readonly { readonly backend: Backend }[] }
}

interface RouteRule {
  readonly backendRefs?: readonly { readonly name: string; readonly port: number }[]
}

interface ServicePort {
  readonly name?: string
  readonly port?: number
  readonly targetPort?: string | number
}

/** As much of an object as is looked at; a Service's selector holds labels, all others `matchLabels`. */
export interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Labels; readonly annotations?: Labels }
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: {
    readonly selector?: Selector
    readonly podSelector?: Selector
    readonly replicas?: number
    readonly serviceName?: string
    readonly ports?: readonly ServicePort[]
    readonly scaleTargetRef?: { readonly kind: string; readonly name: string }
    readonly rules?: readonly (IngressRule & RouteRule)[]
    readonly endpoints?: readonly { readonly port: string; readonly scheme?: string }[]
    readonly template?: { readonly metadata?: { readonly labels?: Labels }; readonly spec: PodSpec }
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
  }
}

/** Every namespace has it. */
const DEFAULT_ACCOUNT = 'default'
/** Of the values in helm/ci: made by somebody else. */
const FOREIGN_ACCOUNTS = new Set(['agents'])

const titleOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`

/** The pod that an object makes; a Pod is one. */
function podOf({ kind, spec }: Manifest): PodSpec | undefined {
  return kind === 'Pod' ? (spec as unknown as PodSpec) : spec?.template?.spec
}

const podLabelsOf = (manifest: Manifest): Labels | undefined =>
  manifest.kind === 'Pod' ? manifest.metadata.labels : manifest.spec?.template?.metadata?.labels

/** One sentence each; empty when all is well. */
export function faultsOf(manifests: readonly Manifest[]): string[] {
  return manifests.flatMap((manifest) =>
    [
      ...referenceFaults(manifest, manifests),
      ...targetFaults(manifest, manifests),
      ...podFaults(manifest),
      ...settingFaults(manifest),
    ].map((fault) => `${titleOf(manifest)}: ${fault}`),
  )
}

/** All containers of all pods, those that come first included. */
export const containersOf = (manifests: readonly Manifest[]): Container[] =>
  manifests.flatMap((manifest) => {
    const pod = podOf(manifest)
    return [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])]
  })

/** The containers that run the service itself, of all pods. */
export const daemonsOf = (manifests: readonly Manifest[]): Container[] =>
  containersOf(manifests).filter(({ name }) => name === 'daemon')

function* referenceFaults(manifest: Manifest, all: readonly Manifest[]): Generator<string> {
  const { kind, spec } = manifest
  const exists = (wanted: string, name: string) => all.some((it) => it.kind === wanted && it.metadata.name === name)
  const selected = selectedBy(manifest, all)
  const selects = spec?.selector ?? spec?.podSelector?.matchLabels
  if (selects && selected.length === 0) yield `its selector matches no ${kind === 'ServiceMonitor' ? 'Service' : 'pod'}`
  // A Job selects its pods by itself.
  if (spec?.template && kind !== 'Job' && !selected.includes(manifest)) {
    yield 'its selector does not match its own pods'
  }
  if (spec?.serviceName !== undefined && !exists('Service', spec.serviceName)) yield 'its Service does not exist'
  if (kind === 'Service') yield* portFaults(manifest, selected)
  const pod = podOf(manifest)
  const account = pod?.serviceAccountName ?? DEFAULT_ACCOUNT
  if (account !== DEFAULT_ACCOUNT && !FOREIGN_ACCOUNTS.has(account) && !exists('ServiceAccount', account)) {
    yield `ServiceAccount ${account} does not exist`
  }
  const asked = pod?.containers.flatMap(({ envFrom = [] }) => envFrom.map(({ configMapRef }) => configMapRef)) ?? []
  const mounted = pod?.volumes?.map(({ configMap }) => configMap) ?? []
  for (const map of [...asked, ...mounted]) {
    if (map && !exists('ConfigMap', map.name)) yield `ConfigMap ${map.name} does not exist`
  }
}

/** What else an object points at: workloads of autoscalers, Services of ways in, ports of those who collect metrics. */
function* targetFaults(manifest: Manifest, all: readonly Manifest[]): Generator<string> {
  const { spec } = manifest
  const target = spec?.scaleTargetRef
  if (target) {
    const workload = all.find(({ kind, metadata }) => kind === target.kind && metadata.name === target.name)
    if (!workload) yield `${target.kind} ${target.name} does not exist`
    // An upgrade would undo what the autoscaler has decided.
    if (workload?.spec?.replicas !== undefined) yield `${target.name} says how many pods it wants`
  }
  const paths = spec?.rules?.flatMap(({ http }) => http?.paths.map(({ backend }) => backend.service) ?? []) ?? []
  const routed = spec?.rules?.flatMap(({ backendRefs = [] }) => backendRefs) ?? []
  for (const { name, port } of [...paths, ...routed.map((it) => ({ ...it, port: { number: it.port } }))]) {
    const ports = all.find(({ kind, metadata }) => kind === 'Service' && metadata.name === name)?.spec?.ports ?? []
    const found = ports.some((it) => matchesPort(it, port))
    if (!found) yield `Service ${name} has no such port`
  }
  for (const { port } of spec?.endpoints ?? []) {
    const services = selectedBy(manifest, all)
    if (services.some((it) => !it.spec?.ports?.some(({ name }) => name === port))) yield `a Service has no port ${port}`
  }
}

const matchesPort = (open: ServicePort, wanted: { readonly name?: string; readonly number?: number }): boolean =>
  wanted.name === undefined ? open.port === wanted.number : open.name === wanted.name

function selectedBy({ kind, spec }: Manifest, all: readonly Manifest[]): Manifest[] {
  const selector = (kind === 'Service' ? spec?.selector : (spec?.selector ?? spec?.podSelector)?.matchLabels) as
    | Labels
    | undefined
  if (!selector) return []
  return all.filter((other) => {
    const services = kind === 'ServiceMonitor'
    const labels = services ? other.kind === 'Service' && other.metadata.labels : podLabelsOf(other)
    return labels && Object.entries(selector).every(([name, value]) => labels[name] === value)
  })
}

function* portFaults({ spec }: Manifest, pods: readonly Manifest[]): Generator<string> {
  const open = pods.flatMap((it) => podOf(it)?.containers.flatMap(({ ports = [] }) => ports) ?? [])
  for (const { targetPort } of spec?.ports ?? []) {
    const found = open.some(({ name, containerPort }) => name === targetPort || containerPort === targetPort)
    if (!found) yield `no pod listens on its port ${targetPort}`
  }
}

function* podFaults(manifest: Manifest): Generator<string> {
  const pod = podOf(manifest)
  if (!pod) return
  const { spec } = manifest
  const { securityContext: security } = pod
  if (security?.runAsNonRoot !== true) yield 'its pods may run as root'
  if (security?.seccompProfile?.type !== 'RuntimeDefault') yield 'its pods may make every system call'
  // Kubernetes would add variables such as REDIS_PORT=tcp://…, which the service would take for settings.
  if (pod.enableServiceLinks !== false) yield 'its pods get variables of Services'
  if (pod.automountServiceAccountToken !== false) yield 'its pods may call the API of Kubernetes'
  const claims = spec?.volumeClaimTemplates?.map(({ metadata }) => metadata.name) ?? []
  const volumes = new Set([...claims, ...(pod.volumes ?? []).map(({ name }) => name)])
  for (const container of [...(pod.initContainers ?? []), ...pod.containers]) yield* containerFaults(container, volumes)
}

function* containerFaults(container: Container, volumes: ReadonlySet<string>): Generator<string> {
  const { image, securityContext: security, ports = [], resources } = container
  if (!isPinned(image)) yield `image ${image} has no version`
  if (!resources?.requests || !resources.limits?.memory) yield 'a container says not what it needs'
  if (security?.allowPrivilegeEscalation !== false) yield 'a container may gain rights'
  if (security?.readOnlyRootFilesystem !== true) yield 'a container may write to its image'
  if (!security?.capabilities?.drop?.includes('ALL')) yield 'a container keeps capabilities'
  for (const { name } of container.volumeMounts ?? []) if (!volumes.has(name)) yield `volume ${name} does not exist`
  const names = new Set(ports.flatMap(({ name, containerPort }) => [name, containerPort]))
  for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
    if (probe?.httpGet && !names.has(probe.httpGet.port)) yield `a probe asks the port ${probe.httpGet.port}`
  }
}

/** Whether an image names a version, and not just the newest one. */
export const isPinned = (image: string): boolean => /:[^/:]+$/.test(image) && !image.endsWith(':latest')

function* settingFaults(manifest: Manifest): Generator<string> {
  const known = settingNames()
  const names = daemonsOf([manifest]).flatMap(({ env = [] }) => env.map(({ name }) => name))
  // Files have a dot in their names.
  const keys = manifest.kind === 'ConfigMap' ? Object.keys(manifest.data ?? {}) : []
  const settings = keys.filter((key) => !key.includes('.'))
  for (const name of [...names, ...settings])
    if (!known.has(name) && name !== 'NODE_OPTIONS') yield `${name} is not a setting`
}
