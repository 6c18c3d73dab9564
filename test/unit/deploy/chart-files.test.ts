/**
 * Files of chart and kustomize that are made of others are up to date, and the values, their schema and their table are one.
 */
import { expect, test } from 'vitest'
import { generatedFiles, readSource } from '../../../scripts/charts/generated.js'
import { allSettings } from '../../../src/config/schema.js'
import { parseYaml } from '../../support/deployment-files.js'

interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly additionalProperties?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
  readonly definitions?: Readonly<Record<string, Schema>>
  readonly items?: Schema
}

const schema = JSON.parse(readSource('helm/values.schema.json')) as Schema
const values = parseYaml(readSource('helm/values.yaml'))[0] as object

test.each(generatedFiles().map(({ path, text }) => [path, text] as const))(
  '%s is what `npm run charts:write` writes',
  (path, text) => {
    expect(readSource(path)).toBe(text)
  },
)

const resolved = (one: Schema | undefined): Schema | undefined =>
  one?.$ref === undefined ? one : schema.definitions?.[one.$ref.replace('#/definitions/', '')]

/** Paths of values that `left` has and the schema does not know, in either direction. */
function unknownPaths(value: unknown, of: Schema | undefined, path: string): string[] {
  const known = resolved(of)
  if (!known) return [path]
  if (!known.properties || value === null || typeof value !== 'object') return []
  const { properties } = known
  return Object.entries(value).flatMap(([name, each]) => unknownPaths(each, properties[name], `${path}.${name}`))
}

function pathsWithoutDefault(of: Schema, value: unknown, path: string): string[] {
  const known = resolved(of)
  if (!known?.properties || known.additionalProperties !== false) return []
  if (value === null || typeof value !== 'object') return [path]
  const present = value as Record<string, unknown>
  return Object.entries(known.properties).flatMap(([name, each]) =>
    name in present ? pathsWithoutDefault(each, present[name], `${path}.${name}`) : [`${path}.${name}`],
  )
}

/** What has no default: names that only the user knows, and parts of Kubernetes' own objects. */
const WITHOUT_DEFAULT = /^\.(global$|settings\.|secret\.references|\w+\.(affinity|resources)\.|\w+\.resources\.)/

test('the schema knows each value, and each value that it knows has a default', () => {
  expect(unknownPaths(values, schema, '')).toEqual([])
  expect(pathsWithoutDefault(schema, values, '').filter((path) => !WITHOUT_DEFAULT.test(path))).toEqual([])
})

test('each object of the schema refuses names that it does not know', () => {
  const lax: string[] = []
  const visit = (one: Schema, path: string): void => {
    const free = one.type === 'object' && one.additionalProperties === undefined
    if (free) lax.push(path)
    for (const [name, each] of Object.entries({ ...one.properties, ...one.definitions })) visit(each, `${path}.${name}`)
    if (one.items) visit(one.items, `${path}[]`)
  }
  visit(schema, '')

  // Selectors and affinities are Kubernetes' own, and helm's `global` belongs to whoever takes this chart as a part.
  expect(lax.filter((path) => !/(^\.global|affinity\.\w+|peers\[\]\.\w+Selector)$/.test(path))).toEqual([])
})

test('no secret can stand in the settings, and each one may come from the Secret', () => {
  const settings = schema.properties?.settings?.properties ?? {}
  const references = schema.properties?.secret?.properties?.references?.properties ?? {}
  const secrets = allSettings().flatMap(({ setting }) => (setting.secret ? [setting] : []))

  expect(secrets.length).toBeGreaterThan(8)
  for (const { env, aliases } of secrets) {
    for (const name of [env, ...aliases]) {
      expect(settings[name], name).toEqual({ enum: [expect.stringContaining(`under the key ${env}`)] })
    }
    expect(references[env], env).toBeDefined()
  }
})

test('the table of the README has each value with its meaning and its default', () => {
  const readme = readSource('helm/README.md')

  expect(readme).toContain('| `edge.preStopSeconds` | `5` | Time for load balancers to notice that a pod is going,')
  expect(readme).toContain('| `networkPolicy.storePorts` | `[6379,26379,5432]` |')
  for (const section of Object.keys(values)) expect(readme, section).toMatch(new RegExp(`^\\| \`${section}[.\`]`, 'm'))
})
