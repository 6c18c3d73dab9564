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
  readonly valueFrom?: { readonly secretKeyRef?: { readonly name: string; readonly key: string } }
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly env?: readonly Variable[]
  readonly envFrom?: readonly { readonly configMapRef?: { readonly name: string } }[]
  readonly ports?: readonly NamedPort[]
  readonly volumeMounts?: readonly { readonly name: string }[]
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
  readonly httpGet?: { readonly path: string; readonly port: string | number }
}

interface PodSpec {
  readonly serviceAccountName?: string
  readonly enableServiceLinks?: boolean
  readonly securityContext?: { readonly runAsNonRoot?: boolean; readonly seccompProfile?: { readonly type?: string } }
  readonly containers: readonly Container[]
  readonly volumes?: readonly { readonly name: string }[]
}

/** As much of an object as is looked at; a Service's selector holds labels, all others `matchLabels`. */
export interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: {
    readonly selector?: { readonly matchLabels?: Labels }
    readonly serviceName?: string
    readonly ports?: readonly { readonly targetPort?: string | number }[]
    readonly template?: { readonly metadata?: { readonly labels?: Labels }; readonly spec: PodSpec }
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
  }
}

const titleOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`

/** One sentence each; empty when all is well. */
export function faultsOf(manifests: readonly Manifest[]): string[] {
  return manifests.flatMap((manifest) =>
    [...referenceFaults(manifest, manifests), ...podFaults(manifest), ...settingFaults(manifest)].map(
      (fault) => `${titleOf(manifest)}: ${fault}`,
    ),
  )
}

/** The containers that run the service itself, of all pods. */
export const daemonsOf = (manifests: readonly Manifest[]): Container[] =>
  manifests.flatMap(({ spec }) => spec?.template?.spec.containers ?? []).filter(({ name }) => name === 'daemon')

function* referenceFaults(manifest: Manifest, all: readonly Manifest[]): Generator<string> {
  const { kind, spec } = manifest
  const exists = (wanted: string, name: string) => all.some((it) => it.kind === wanted && it.metadata.name === name)
  const selected = podsSelectedBy(manifest, all)
  if (spec?.selector && selected.length === 0) yield 'its selector matches no pod'
  if (spec?.template && !selected.includes(manifest)) yield 'its selector does not match its own pods'
  if (spec?.serviceName !== undefined && !exists('Service', spec.serviceName)) yield 'its Service does not exist'
  if (kind === 'Service') yield* portFaults(manifest, selected)
  const pod = spec?.template?.spec
  if (pod?.serviceAccountName !== undefined && !exists('ServiceAccount', pod.serviceAccountName)) {
    yield `ServiceAccount ${pod.serviceAccountName} does not exist`
  }
  for (const { configMapRef } of pod?.containers.flatMap(({ envFrom = [] }) => envFrom) ?? []) {
    if (configMapRef && !exists('ConfigMap', configMapRef.name)) yield `ConfigMap ${configMapRef.name} does not exist`
  }
}

function podsSelectedBy({ kind, spec }: Manifest, all: readonly Manifest[]): Manifest[] {
  const selector = (kind === 'Service' ? spec?.selector : spec?.selector?.matchLabels) as Labels | undefined
  if (!selector) return []
  return all.filter(({ spec: other }) => {
    const labels = other?.template?.metadata?.labels
    return labels && Object.entries(selector).every(([name, value]) => labels[name] === value)
  })
}

function* portFaults({ spec }: Manifest, pods: readonly Manifest[]): Generator<string> {
  const open = pods.flatMap(({ spec: it }) => it?.template?.spec.containers.flatMap(({ ports = [] }) => ports) ?? [])
  for (const { targetPort } of spec?.ports ?? []) {
    const found = open.some(({ name, containerPort }) => name === targetPort || containerPort === targetPort)
    if (!found) yield `no pod listens on its port ${targetPort}`
  }
}

function* podFaults({ spec }: Manifest): Generator<string> {
  const pod = spec?.template?.spec
  if (!pod) return
  const { securityContext: security } = pod
  if (security?.runAsNonRoot !== true) yield 'its pods may run as root'
  if (security?.seccompProfile?.type !== 'RuntimeDefault') yield 'its pods may make every system call'
  // Kubernetes would add variables such as REDIS_PORT=tcp://…, which the service would take for settings.
  if (pod.enableServiceLinks !== false) yield 'its pods get variables of Services'
  const claims = spec?.volumeClaimTemplates?.map(({ metadata }) => metadata.name) ?? []
  const volumes = new Set([...claims, ...(pod.volumes ?? []).map(({ name }) => name)])
  for (const container of pod.containers) yield* containerFaults(container, volumes)
}

function* containerFaults(container: Container, volumes: ReadonlySet<string>): Generator<string> {
  const { image, securityContext: security, ports = [] } = container
  if (!isPinned(image)) yield `image ${image} has no version`
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
  const settings = manifest.kind === 'ConfigMap' ? Object.keys(manifest.data ?? {}) : []
  for (const name of [...names, ...settings]) if (!known.has(name)) yield `${name} is not a setting`
}
