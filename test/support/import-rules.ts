/**
 * Who may import whom: reads the imports of a source tree and names every one that breaks the layering.
 */
import { posix } from 'node:path'

export interface SourceFile {
  /** From the source root, for example `bus/session-log.ts`. */
  readonly path: string
  readonly text: string
}

export interface Import {
  readonly from: string
  /** A path from the source root, or the name of a package. */
  readonly to: string
  readonly kind: 'file' | 'package'
  readonly typeOnly: boolean
}

/** Each line may import the lines below it. Parts of one line do not know each other. */
const LAYERS: readonly (readonly string[])[] = [
  ['main', 'wundr', 'index'],
  ['cli', 'library'],
  ['daemon'],
  // The parts of the composition root that are too long for one file.
  ['assembly'],
  ['edge', 'worker', 'coordinator'],
  ['runtimes', 'memory', 'budget', 'charter', 'federation', 'scheduling', 'neolith', 'dashboard'],
  ['bus', 'cluster'],
  ['storage', 'models', 'redis'],
  ['telemetry', 'shards'],
  ['protocol', 'config', 'version'],
]

interface Outsider {
  readonly sees: readonly string[]
  /** Of these it sees types only. */
  readonly seesTypesOf: readonly string[]
  readonly seenBy: readonly string[]
}

/**
 * Outside callers of the service: they see little of it, and only the outermost parts see them. The composition root is
 * one: a delegated task enters the service through its own door, as a client's would.
 */
const OUTSIDE: Readonly<Record<string, Outsider>> = {
  client: { sees: ['protocol'], seesTypesOf: [], seenBy: ['main', 'index', 'cli', 'library', 'assembly', 'chaos'] },
  // The fault suite starts the service as processes and looks at it from outside.
  chaos: {
    sees: ['client', 'protocol', 'config', 'version', 'shards', 'redis', 'storage'],
    seesTypesOf: ['bus'],
    seenBy: ['cli'],
  },
}

/** Planes keep implementations behind interfaces: roles and domain see only interfaces, constants and pure functions. */
const PLANES = ['bus', 'cluster', 'storage', 'models', 'redis']
const INTERFACE_USERS = [
  'edge',
  'worker',
  'coordinator',
  'runtimes',
  'memory',
  'budget',
  'charter',
  'federation',
  'scheduling',
  'neolith',
  'dashboard',
]

/** Every package that the source may use, and where. */
const VENDORS: Readonly<Record<string, readonly string[]>> = {
  'uWebSockets.js': ['edge'],
  'socket.io': ['edge'],
  jose: ['edge'],
  // The fault suite reads the stores with connections of its own: what it checks must not be what it reads with.
  ioredis: ['redis', 'chaos'],
  bullmq: ['coordinator'],
  kysely: ['storage'],
  pg: ['storage', 'chaos'],
  '@electric-sql/pglite': ['storage'],
  '@electric-sql/pglite-pgvector': ['storage'],
  'gpt-tokenizer': ['memory'],
  openai: ['models'],
  '@anthropic-ai/sdk': ['models'],
  '@anthropic-ai/claude-agent-sdk': ['runtimes'],
  '@modelcontextprotocol/sdk': ['runtimes'],
  pino: ['telemetry'],
  'prom-client': ['telemetry'],
  '@opentelemetry/api': ['telemetry'],
  '@opentelemetry/exporter-trace-otlp-http': ['telemetry'],
  '@opentelemetry/exporter-trace-otlp-proto': ['telemetry'],
  '@opentelemetry/resources': ['telemetry'],
  '@opentelemetry/sdk-trace-node': ['telemetry'],
  commander: ['cli'],
  picocolors: ['cli', 'telemetry'],
  ulid: ['protocol'],
  ws: ['client', 'chaos'],
  tsx: ['cluster'],
  json5: ['config'],
  yaml: ['config', 'charter', 'runtimes'],
  unbash: ['charter'],
  croner: ['scheduling'],
  zod: ['protocol', 'config', 'charter', 'runtimes', 'neolith'],
}

const COMMENTS = /\/\*[\s\S]*?\*\/|(^|\s)\/\/[^\n]*/g
const STATIC_IMPORT = /^[ \t]*(?:import|export)\s+(type\s)?([^'"`;()=]*?from\s*)?['"]([^'"]+)['"]/gm
const DYNAMIC_IMPORT = /\b(?:import|require)\(\s*['"]([^'"]+)['"]\s*\)/g

/** Every import of a file: static, re-exporting, dynamic, type-only. */
export function importsOf({ path, text }: SourceFile): Import[] {
  const code = text.replace(COMMENTS, '$1')
  const fixed = [...code.matchAll(STATIC_IMPORT)].map(([, type, names = '', to = '']) =>
    resolve(path, to, type !== undefined || onlyTypes(names)),
  )
  const dynamic = [...code.matchAll(DYNAMIC_IMPORT)].map(([, to = '']) => resolve(path, to, false))
  return [...fixed, ...dynamic].filter(({ to }) => !to.startsWith('node:'))
}

// `{ type A, type B }`, which leaves nothing at run time that matters here.
function onlyTypes(clause: string): boolean {
  const names = /^\{([\s\S]*)\}/.exec(clause.trim())?.[1]
  if (names === undefined) return false
  const list = names.split(',').filter((name) => name.trim() !== '')
  return list.length > 0 && list.every((name) => /^\s*type\s/.test(name))
}

function resolve(from: string, to: string, typeOnly: boolean): Import {
  if (to.startsWith('.')) {
    const target = posix.normalize(posix.join(posix.dirname(from), to)).replace(/\.js$/, '.ts')
    return { from, to: target, kind: 'file', typeOnly }
  }
  const parts = to.split('/')
  return { from, to: parts.slice(0, to.startsWith('@') ? 2 : 1).join('/'), kind: 'package', typeOnly }
}

/** One sentence per broken rule; none when the tree is in order. */
export function violations(files: readonly SourceFile[]): string[] {
  const imports = files.flatMap(importsOf)
  const implementations = implementationsOf(files, imports)
  return [...imports.flatMap((each) => violationOf(each, implementations) ?? []), ...cycles(files, imports)]
}

/** Files of the planes that implement an interface, or bring a plane's vendor along when they are loaded. */
function implementationsOf(files: readonly SourceFile[], imports: readonly Import[]): ReadonlySet<string> {
  const drivers = Object.keys(VENDORS).filter((vendor) => VENDORS[vendor]?.some((place) => PLANES.includes(place)))
  const declared = files.filter(({ text }) => /^(export )?(abstract )?class \w+.* implements /m.test(text))
  const found = new Set([...declared.map(({ path }) => path), ...drivers])
  for (let size = 0; size !== found.size; ) {
    size = found.size
    for (const { from, to, typeOnly } of imports) if (!typeOnly && found.has(to) && isPlane(from)) found.add(from)
  }
  return new Set([...found].filter(isPlane))
}

const isPlane = (path: string): boolean => PLANES.includes(partOf(path))

function violationOf(each: Import, implementations: ReadonlySet<string>): string | undefined {
  const from = partOf(each.from)
  if (each.kind === 'package') return vendorViolation(each, from)
  const to = partOf(each.to)
  if (from === to) return undefined
  if (!mayImport(from, to, each.typeOnly)) return `${each.from} imports ${each.to}: ${from} may not know ${to}`
  if (INTERFACE_USERS.includes(from) && !each.typeOnly && implementations.has(each.to)) {
    return `${each.from} imports the implementation ${each.to}: only the composition root may, ${from} sees interfaces`
  }
  return undefined
}

function vendorViolation({ from: file, to }: Import, part: string): string | undefined {
  const places = VENDORS[to]
  if (!places) return `${file} imports ${to}, which no folder is known to use`
  return places.includes(part) ? undefined : `${file} imports ${to}, which belongs in ${places.join(', ')}`
}

function mayImport(from: string, to: string, typeOnly: boolean): boolean {
  const [caller, called] = [OUTSIDE[from], OUTSIDE[to]]
  if (called && !called.seenBy.includes(from)) return false
  if (caller) return caller.sees.includes(to) || (typeOnly && caller.seesTypesOf.includes(to))
  if (called) return true
  const upper = layerOf(from)
  const lower = layerOf(to)
  return upper !== -1 && lower !== -1 && upper < lower
}

const layerOf = (part: string): number => LAYERS.findIndex((layer) => layer.includes(part))

/** The folder under the source root, or the name of a file that stands there itself. */
const partOf = (path: string): string => (path.split('/')[0] ?? path).replace(/\.ts$/, '')

/** Each cycle once, as the way round; types count, because they too tie files together. */
function cycles(files: readonly SourceFile[], imports: readonly Import[]): string[] {
  const targets = new Map<string, string[]>()
  for (const { from, to, kind } of imports) if (kind === 'file') targets.set(from, [...(targets.get(from) ?? []), to])
  const found: string[] = []
  const done = new Set<string>()
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) {
      found.push(`cycle: ${[...way.slice(way.indexOf(path)), path].join(' → ')}`)
      return
    }
    if (done.has(path)) return
    for (const next of targets.get(path) ?? []) visit(next, [...way, path])
    done.add(path)
  }
  for (const { path } of files) visit(path, [])
  return found
}
