/**
 * Chart and kustomize side by side: what of two sets of objects has to be equal, and what an upgrade may not change.
 */
import type { Manifest } from './manifest-faults.js'

type Plain = Readonly<Record<string, unknown>>

/** Who made an object, and from what: different by nature, and nothing that the cluster goes by. */
const MAKERS = /^(helm\.sh|checksum|argocd\.argoproj\.io)\/|^app\.kubernetes\.io\/(instance|managed-by|version)$/
/** kustomize names a ConfigMap by what is in it, with these letters only, so that no word comes out. */
const CONTENT_HASH = /-[2456789bcdfghkmt]{10}$/
/** What stands for itself when it is left out. */
const DEFAULTS: Readonly<Record<string, unknown>> = { optional: false, type: 'ClusterIP' }
/** A Job of the chart is removed by helm; a Job of kustomize, by time. */
const OF_ONE_SIDE = new Set(['namespace', 'ttlSecondsAfterFinished'])
/** kustomize labels claims too. Nobody selects them, and both sides are bound to what they have begun with. */
const CLAIMS = 'volumeClaimTemplates'

/** Objects by kind and name, without what may differ between chart and kustomize. */
export function comparable(manifests: readonly Manifest[]): Readonly<Record<string, unknown>> {
  const entries = manifests.map((manifest) => {
    const { metadata, ...rest } = simplified(manifest) as unknown as { metadata: { name: string; labels?: Plain } }
    // A label of the object itself says no more than its name, unless somebody selects by it.
    const labels = Object.entries(metadata.labels ?? {}).filter(([name]) => !name.startsWith('app.kubernetes.io/'))
    return [
      `${manifest.kind} ${metadata.name}`,
      { ...rest, metadata: { ...metadata, labels: Object.fromEntries(labels) } },
    ]
  })
  return Object.fromEntries(entries) as Readonly<Record<string, unknown>>
}

function simplified(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    const items = key === CLAIMS ? value.map(withoutLabels) : value
    return sortedByName(items.map((each) => simplified(each)))
  }
  if (value === null || typeof value !== 'object') {
    return key === 'name' && typeof value === 'string' ? value.replace(CONTENT_HASH, '') : value
  }
  const entries = Object.entries(value)
    .filter(([name, each]) => !MAKERS.test(name) && !OF_ONE_SIDE.has(name) && DEFAULTS[name] !== each)
    .map(([name, each]): [string, unknown] => [name, simplified(each, name)])
    .filter(([, each]) => !isEmptyMap(each))
  return Object.fromEntries(entries)
}

function withoutLabels<T extends { readonly metadata: object }>(claim: T): object {
  return { ...claim, metadata: { ...claim.metadata, labels: {} } }
}

const isEmptyMap = (value: unknown): boolean =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length === 0

/** Variables, volumes and ports are sets, whatever the order in which they are written. */
function sortedByName(values: readonly unknown[]): readonly unknown[] {
  const nameOf = (value: unknown) => (value as { readonly name?: unknown } | null)?.name
  if (!values.every((value) => typeof nameOf(value) === 'string')) return values
  return [...values].sort((a, b) => (String(nameOf(a)) < String(nameOf(b)) ? -1 : 1))
}

/** Of these kinds Kubernetes lets nothing else be changed (StatefulSet), or all but these (the others). */
const MAY_CHANGE: Readonly<Record<string, readonly string[]>> = {
  StatefulSet: [
    ...['replicas', 'ordinals', 'template', 'updateStrategy', 'minReadySeconds'],
    'persistentVolumeClaimRetentionPolicy',
  ],
}
const MAY_NOT_CHANGE: Readonly<Record<string, readonly string[]>> = {
  Deployment: ['selector'],
  Service: ['clusterIP'],
  PersistentVolumeClaim: ['accessModes', 'storageClassName', 'volumeName'],
}
/** What would be lost, or come back under another name with its work undone. */
const MAY_NOT_GO = new Set(['StatefulSet', 'PersistentVolumeClaim', 'Deployment', 'Service'])

/** One sentence for each change that an upgrade from `before` to `after` could not make, or would lose something by. */
export function forbiddenChanges(before: readonly Manifest[], after: readonly Manifest[]): string[] {
  return before.flatMap((old) => {
    const title = `${old.kind} ${old.metadata.name}`
    const next = after.find(({ kind, metadata }) => kind === old.kind && metadata.name === old.metadata.name)
    if (!next) return MAY_NOT_GO.has(old.kind) ? [`${title} is gone`] : []
    const [a, b] = [fixedFields(old), fixedFields(next)]
    const names = new Set([...Object.keys(a), ...Object.keys(b)])
    return [...names].filter((name) => !isEqual(a[name], b[name])).map((name) => `${title}: ${name} has changed`)
  })
}

function fixedFields({ kind, spec = {} }: Manifest): Plain {
  const [free, fixed] = [MAY_CHANGE[kind], MAY_NOT_CHANGE[kind] ?? []]
  return Object.fromEntries(
    Object.entries(spec).filter(([name]) => (free ? !free.includes(name) : fixed.includes(name))),
  )
}

const isEqual = (a: unknown, b: unknown): boolean => JSON.stringify(ordered(a)) === JSON.stringify(ordered(b))

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, each]) => [name, ordered(each)]),
  )
}
