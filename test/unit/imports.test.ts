/**
 * The layering of the source holds: imports point downward, vendors stay in their folder, nothing goes in circles.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { importsOf, type SourceFile, violations } from '../support/import-rules.js'

const SOURCE = fileURLToPath(new URL('../../src/', import.meta.url))

function sourceFiles(): SourceFile[] {
  return readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, text: readFileSync(SOURCE + path, 'utf8') }))
}

test('the source keeps the import rules', () => {
  const files = sourceFiles()

  expect(files.length).toBeGreaterThan(10)
  expect(violations(files)).toEqual([])
})

test('every import of the source leads to a file that is there', () => {
  const files = sourceFiles()
  const paths = new Set(files.map(({ path }) => path))

  const lost = files.flatMap(importsOf).filter(({ kind, to }) => kind === 'file' && !paths.has(to))

  expect(lost.map(({ from, to }) => `${from} imports ${to}, which is not there`)).toEqual([])
})

describe('the checker', () => {
  const file = (path: string, text: string): SourceFile => ({ path, text })

  test('sees every form of import and no comment', () => {
    const text = `
import a from './a.js'
import type { B } from '../protocol/b.js'
import { type C } from '../protocol/c.js'
import { type D, d } from '../protocol/d.js'
import {
  e,
} from './e.js'
import './f.js'
export * from './g.js'
export { h } from './h.js'
import { join } from 'node:path'
import sdk from '@scope/name/deep.js'
const i = await import('./i.js')
type J = import('./j.js').J
// import no from './comment.js'
/* import no from './block.js' */
const url = 'https://example.com'; import './after-url.js'
`
    const seen = importsOf(file('bus/x.ts', text)).map(({ to, typeOnly }) => (typeOnly ? `type ${to}` : to))

    expect(seen).toEqual([
      ...['bus/a.ts', 'type protocol/b.ts', 'type protocol/c.ts', 'protocol/d.ts', 'bus/e.ts', 'bus/f.ts'],
      ...['bus/g.ts', 'bus/h.ts', '@scope/name', 'bus/i.ts', 'bus/j.ts'],
    ])
  })

  test.each([
    ['upward', 'storage/a.ts', `import { b } from '../bus/b.js'`, 'storage may not know bus'],
    ['upward by a type', 'redis/a.ts', `import type { B } from '../edge/b.js'`, 'redis may not know edge'],
    ['from role to role', 'edge/a.ts', `import type { B } from '../worker/b.js'`, 'edge may not know worker'],
    ['between planes', 'bus/a.ts', `import type { B } from '../cluster/b.js'`, 'bus may not know cluster'],
    [
      'between domain parts',
      'runtimes/a.ts',
      `import type { B } from '../budget/b.js'`,
      'runtimes may not know budget',
    ],
    ['from the client inward', 'client/a.ts', `import type { B } from '../bus/b.js'`, 'client may not know bus'],
    ['of the client', 'worker/a.ts', `import type { B } from '../client/b.js'`, 'worker may not know client'],
    [
      'from the fault suite to a role',
      'chaos/a.ts',
      `import type { B } from '../edge/b.js'`,
      'chaos may not know edge',
    ],
    ['from the fault suite to what runs', 'chaos/a.ts', `import { b } from '../bus/b.js'`, 'chaos may not know bus'],
    ['of the fault suite', 'library/a.ts', `import { b } from '../chaos/b.js'`, 'library may not know chaos'],
    ['into the composition root', 'edge/a.ts', `import { b } from '../daemon.js'`, 'edge may not know daemon'],
    ['of a vendor elsewhere', 'bus/a.ts', `import { Redis } from 'ioredis'`, 'belongs in redis'],
    ['of an unknown package', 'bus/a.ts', `import _ from 'lodash'`, 'no folder is known to use'],
    ['from a folder outside the plan', 'misc/a.ts', `import { b } from '../config/b.js'`, 'misc may not know config'],
  ])('names an import %s', (_what, path, text, sentence) => {
    expect(violations([file(path, text)])).toEqual([expect.stringContaining(sentence)])
  })

  const implementation = [
    file('bus/stream.ts', `export class Stream implements CommandStream {}`),
    file('bus/maker.ts', `import { connect } from '../redis/connect.js'`),
    file('redis/connect.ts', `import { Redis } from 'ioredis'`),
    file('bus/limits.ts', `import type { Redis } from '../redis/connect.js'\nexport const MAX = 1`),
  ]

  test.each(['stream', 'maker'])('names a role that loads the implementation in %s', (name) => {
    const role = file('edge/a.ts', `import { b } from '../bus/${name}.js'`)

    expect(violations([...implementation, role])).toEqual([expect.stringContaining('only the composition root may')])
  })

  test('lets a role load constants and functions of a plane, and the types of an implementation', () => {
    const role = file('edge/a.ts', `import { MAX } from '../bus/limits.js'\nimport type { S } from '../bus/stream.js'`)
    const root = file('daemon.ts', `import { Stream } from './bus/stream.js'`)

    expect(violations([...implementation, role, root])).toEqual([])
  })

  test.each([
    ['main.ts', `import { cli } from './cli/cli.js'`],
    ['cli/start.ts', `import { startDaemon } from '../daemon.js'`],
    ['daemon.ts', `import { Edge } from './edge/edge.js'\nimport { RedisBus } from './bus/redis-bus.js'`],
    [
      'edge/a.ts',
      `import type { B } from '../bus/b.js'\nimport { c } from '../shards/c.js'\nimport { jwt } from 'jose'`,
    ],
    ['bus/a.ts', `import { b } from '../redis/b.js'`],
    ['client/a.ts', `import { b } from '../protocol/b.js'`],
    ['chaos/a.ts', `import type { B } from '../bus/b.js'\nimport { c } from '../client/c.js'`],
    ['cli/chaos.ts', `import { b } from '../chaos/b.js'`],
  ])('lets %s import what stands below it', (path, text) => {
    expect(violations([file(path, text)])).toEqual([])
  })

  test('finds cycles, also those of types, and long ones once', () => {
    const cycle = [
      file('bus/a.ts', `import { b } from './b.js'`),
      file('bus/b.ts', `import type { C } from './c.js'`),
      file('bus/c.ts', `import { a } from './a.js'`),
      file('bus/d.ts', `import { a } from './a.js'`),
    ]

    expect(violations(cycle)).toEqual(['cycle: bus/a.ts → bus/b.ts → bus/c.ts → bus/a.ts'])
  })
})
