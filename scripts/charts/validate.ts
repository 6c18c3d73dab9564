/**
 * Judges Kubernetes objects as a strict API server would, without one: each against the compiled schema of its kind, and for
 * fields that its kind does not have. Kinds of KEDA, of the operator of Prometheus and of the Gateway API are known too.
 *
 *   helm template try ./helm --set secret.name=s | node --import tsx scripts/charts/validate.ts
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { parseAllDocuments } from 'yaml'
import { getTools } from './tools.js'

/** As much of an object as is looked at here. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

type Model = new (object: KubernetesObject) => { validate(): void }

interface Known {
  readonly object: KubernetesObject
  /** The module that exports the kind's class and, as `I<kind>`, its type. */
  readonly module: string
  readonly model: Model
}

/** Of a package for `import` only, which `require.resolve` does not find. */
interface Manifest {
  readonly exports: Readonly<Record<string, { readonly import: string }>>
}

const CUSTOM = [
  ['keda.sh', '@kubernetes-models/keda'],
  ['monitoring.coreos.com', '@kubernetes-models/prometheus-operator'],
  ['gateway.networking.k8s.io', '@kubernetes-models/gateway-api'],
] as const
const MAX_COMPILER_OUTPUT_BYTES = 16 * 1024 * 1024

/** One sentence for each fault; `schemas` is the folder in which schemas/package.json is installed. */
export async function faultsBySchema(objects: readonly KubernetesObject[], schemas: string): Promise<string[]> {
  const found = await Promise.all(objects.map((object) => modelOf(object, schemas)))
  const unknown = objects.filter((_object, index) => found[index] === undefined)
  const known = found.filter((each) => each !== undefined)
  return [
    ...unknown.map((object) => `${titleOf(object)}: ${object.apiVersion} has no such kind`),
    ...duplicates(objects).map((title) => `${title} is there twice`),
    ...known.flatMap(bySchema),
    ...(await unknownFields(known, schemas)),
  ]
}

const titleOf = ({ kind, metadata }: KubernetesObject): string => `${kind} ${metadata?.name}`

function duplicates(objects: readonly KubernetesObject[]): string[] {
  const keys = objects.map((object) => `${object.apiVersion} ${object.metadata?.namespace ?? ''} ${titleOf(object)}`)
  return keys.filter((key, index) => keys.indexOf(key) !== index)
}

async function modelOf(object: KubernetesObject, schemas: string): Promise<Known | undefined> {
  const module = moduleOf(object.apiVersion)
  const models = await load(module, schemas)
  const model = models?.[object.kind]
  return model && { object, module, model }
}

function moduleOf(apiVersion: string): string {
  const [group = '', version] = apiVersion.split('/')
  if (version === undefined) return `kubernetes-models/${group}`
  const custom = CUSTOM.find(([suffix]) => group === suffix || group.endsWith(`.${suffix}`))
  return custom ? `${custom[1]}/${group}/${version}` : `kubernetes-models/${group}/${version}`
}

async function load(module: string, schemas: string): Promise<Record<string, Model> | undefined> {
  try {
    const [, name = '', subpath = ''] = /^((?:@[^/]+\/)?[^/]+)\/(.+)$/.exec(module) ?? []
    const folder = join(schemas, 'node_modules', name)
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
    const entry = manifest.exports[`./${subpath}`]
    return entry && ((await import(pathToFileURL(join(folder, entry.import)).href)) as Record<string, Model>)
  } catch {
    // No such group: said of the object that asks for it.
    return undefined
  }
}

function bySchema({ object, model }: Known): string[] {
  try {
    new model(object).validate()
    return []
  } catch (error) {
    return [`${titleOf(object)}: ${(error as Error).message.replaceAll('\n', '; ')}`]
  }
}

/** Schemas let fields pass that they do not know. Compilers do not: each object is checked as a literal of its type. */
async function unknownFields(known: readonly Known[], schemas: string): Promise<string[]> {
  const folder = await mkdtemp(join(schemas, '.check-'))
  const lines = known.flatMap(({ object, module }, index) => [
    `import type { I${object.kind} as I${index} } from '${module}'`,
    `export const o${index}: I${index} = ${JSON.stringify(object)}`,
  ])
  try {
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    await writeFile(join(folder, 'objects.ts'), lines.join('\n'))
    return (await compilerSays(folder)).map(([line, message]) => {
      const subject = known[Math.floor((line - 1) / 2)]
      return `${subject ? titleOf(subject.object) : 'objects'}: ${message}`
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function compilerSays(folder: string): Promise<[line: number, message: string][]> {
  const manifest = createRequire(import.meta.url).resolve('typescript/package.json')
  const options = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--types', '']
  const modules = ['--module', 'nodenext', '--moduleResolution', 'nodenext', '--pretty', 'false']
  const args = [join(dirname(manifest), 'bin/tsc'), ...options, ...modules, 'objects.ts']
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: folder, maxBuffer: MAX_COMPILER_OUTPUT_BYTES }, (error, stdout, stderr) => {
      const said = [...stdout.matchAll(/^objects\.ts\((\d+),\d+\): error TS\d+: (.*)$/gm)]
      if (error && said.length === 0) reject(new Error(`the compiler failed: ${stdout}${stderr}`))
      else resolve(said.map(([, line, message]) => [Number(line), message ?? '']))
    })
  })
}

async function main(): Promise<void> {
  const objects = parseAllDocuments(await text(process.stdin), { merge: true })
    .map((document) => ('toJS' in document ? (document.toJS() as KubernetesObject | null) : null))
    .filter((object) => object !== null)
  const { schemas } = await getTools()
  if (schemas === undefined) throw new Error('without schemas nothing can be judged')
  const faults = await faultsBySchema(objects, schemas)
  for (const fault of faults) console.error(fault)
  console.info(`${objects.length} objects, ${faults.length} faults`)
  process.exitCode = faults.length > 0 ? 1 : 0
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await main()
