/**
 * What of chart and kustomize is made from something else, so that nobody writes it twice: `npm run charts:write` writes
 * it, and a test fails when a file differs from what is made here.
 */
import { readFileSync } from 'node:fs'
import { isCollection, isMap, isScalar, type Pair, parse, parseDocument, stringify } from 'yaml'
import { allSettings } from '../../src/config/schema.js'
import type { Setting } from '../../src/config/setting.js'

const ROOT = new URL('../../', import.meta.url)
const RULES = 'deploy/monitoring/rules.yml'
const BOARD = 'deploy/monitoring/grafana/boards/orchestrator.json'
const README = 'helm/README.md'
const SCHEMA = 'helm/values.schema.json'
const TABLE = /(?<=<!-- values -->\n).*(?=<!-- \/values -->)/s

export interface GeneratedFile {
  /** From the root of the repository. */
  readonly path: string
  readonly text: string
}

export const readSource = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8')

/** Every file that is made, or has a part that is, as it should be. */
export function generatedFiles(): readonly GeneratedFile[] {
  return [
    { path: 'helm/files/rules.yml', text: readSource(RULES) },
    { path: 'helm/files/board.json', text: readSource(BOARD) },
    { path: 'k8s/components/monitoring/board.json', text: readSource(BOARD) },
    { path: 'k8s/components/monitoring/rules.yaml', text: prometheusRule(readSource(RULES)) },
    { path: README, text: readSource(README).replace(TABLE, `\n${valuesTable(readSource('helm/values.yaml'))}\n`) },
    { path: SCHEMA, text: `${JSON.stringify(withSettings(JSON.parse(readSource(SCHEMA)) as Schema), undefined, 2)}\n` },
  ]
}

/** The rules as an object of the operator of Prometheus. */
function prometheusRule(rules: string): string {
  const object = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'orchestrator-daemon' },
    spec: parse(rules) as unknown,
  }
  return `# Made of ${RULES} by \`npm run charts:write\`.\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`
}

interface Schema {
  readonly properties: Record<string, object>
}

type Property = { readonly type: readonly string[] } | { readonly enum: readonly [string] }

/** Names beside our own that a container may need. */
const FOREIGN_SETTINGS = '^(TZ|NODE_OPTIONS|NODE_EXTRA_CA_CERTS|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy)$'

/** What follows from how the chart puts the parts together. */
const DECIDED = new Set([
  ...['DAEMON_ROLE', 'DAEMON_NAME', 'DAEMON_HOST', 'DAEMON_PORT', 'WORKSPACE_ROOT', 'REDIS_HOST'],
  ...['METRICS_ENABLED', 'METRICS_HOST', 'METRICS_PORT'],
  ...['POSTGRES_HOST', 'POSTGRES_PORT', 'POSTGRES_DB', 'POSTGRES_USER'],
])

/** Has a value of the chart, which does more. */
const INSTEAD: ReadonlyMap<string, string> = new Map([
  ['DAEMON_TLS_CERT_FILE', 'tls.secret'],
  ['DAEMON_TLS_KEY_FILE', 'tls.secret'],
  ['METRICS_TLS', 'tls.metrics'],
])

/** Lists every setting in the schema: a name with a slip in it is refused, and a secret in plain sight. */
function withSettings(schema: Schema): Schema {
  const names = allSettings().flatMap(({ setting }) =>
    [setting.env, ...setting.aliases].map((name): [string, Property] => [name, propertyOf(setting)]),
  )
  const settings = {
    type: 'object',
    additionalProperties: false,
    patternProperties: { [FOREIGN_SETTINGS]: { type: 'string' } },
    properties: Object.fromEntries(names.sort(([a], [b]) => (a < b ? -1 : 1))),
  }
  return { ...schema, properties: { ...schema.properties, secret: secretSchema(), settings } }
}

// An enum of one sentence: whoever sets such a value reads the sentence, since it is the only one that would do.
function propertyOf({ env, secret }: Setting<unknown>): Property {
  if (secret) return { enum: [`left out here: put it into the Secret of secret.name, under the key ${env}`] }
  if (DECIDED.has(env)) return { enum: [`left out here: the chart decides ${env}`] }
  const instead = INSTEAD.get(env)
  if (instead !== undefined) return { enum: [`left out here: set ${instead}`] }
  return { type: ['string', 'number', 'boolean'] }
}

function secretSchema(): object {
  const reference = {
    type: 'object',
    additionalProperties: false,
    required: ['name'],
    properties: { name: { $ref: '#/definitions/someName' }, key: { type: 'string', pattern: '^[A-Za-z0-9._-]+$' } },
  }
  const names = allSettings().flatMap(({ setting }) => (setting.secret ? [setting.env] : []))
  const properties = Object.fromEntries(names.sort().map((name) => [name, reference]))
  return {
    type: 'object',
    additionalProperties: false,
    properties: {
      name: { $ref: '#/definitions/name' },
      references: { type: 'object', additionalProperties: false, properties },
    },
  }
}

interface Row {
  readonly path: string
  readonly fallback: string
  readonly meaning: string
}

/** All values of the chart as a table of Markdown; the comment above a value says what it is. */
export function valuesTable(values: string): string {
  const { contents } = parseDocument(values)
  if (!isMap(contents)) throw new Error('helm/values.yaml is not a map of values')
  const rows = rowsOf(contents.items as Pair[], [], contents.commentBefore)
  const lines = rows.map(({ path, fallback, meaning }) => `| \`${path}\` | ${fallback} | ${meaning} |`)
  return ['| value | default | what it is |', '|---|---|---|', ...lines].join('\n')
}

function rowsOf(pairs: readonly Pair[], above: readonly string[], first: string | null | undefined): Row[] {
  return pairs.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new Error('a value has a name that is no text')
    // A comment above the first value of a map is kept with the map; at the very top it is the header of the file.
    const comment = key.commentBefore ?? (index === 0 && above.length > 0 ? first : undefined)
    const path = [...above, String(key.value)]
    const nested = isMap(value) && !value.flow && value.items.length > 0
    const meaning = (comment ?? '')
      .replace(/\s*\n\s*/g, ' ')
      .replaceAll('|', '\\|')
      .trim()
    if (!nested) return [{ path: path.join('.'), fallback: fallbackOf(value), meaning }]
    const below = rowsOf(value.items as Pair[], path, value.commentBefore)
    return meaning === '' ? below : [{ path: path.join('.'), fallback: '', meaning }, ...below]
  })
}

function fallbackOf(value: unknown): string {
  const plain = isScalar(value) || isCollection(value) ? value.toJSON() : value
  return `\`${JSON.stringify(plain)}\``
}
