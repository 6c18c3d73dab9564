/**
 * Which paths file tools of Claude Code may name.
 */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pathRefusal } from '../../../src/runtimes/claude/own-paths.js'

let root: string
let roots: [string, string]

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'own-'))
  roots = [join(root, 'workspace'), join(root, 'scratch')]
  await Promise.all([...roots, join(root, 'workspace-of-another')].map((it) => mkdir(it)))
  await writeFile(join(root, 'secret'), 'x')
  await symlink(join(root, 'secret'), join(roots[0], 'link'))
  await symlink(root, join(roots[0], 'up'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const at = (path: string): string => path.replace('ROOT', root)

test.each([
  ['Read', { file_path: 'ROOT/workspace/a.txt' }],
  ['Read', { file_path: 'a/b.txt' }],
  ['Write', { file_path: 'ROOT/workspace/new/deep.txt' }],
  ['Read', { file_path: 'ROOT/scratch/output.txt' }],
  ['NotebookEdit', { notebook_path: 'ROOT/workspace/n.ipynb' }],
  ['Grep', { pattern: '../x', path: '.' }],
  ['Glob', { pattern: '*' }],
  ['Glob', { pattern: 'ROOT/workspace/**/*.ts' }],
  ['Glob', { pattern: 'a/**/b..c' }],
  ['Bash', { file_path: '/etc/passwd' }],
])('%s of %j passes', async (tool, input) => {
  const placed = Object.fromEntries(Object.entries(input).map(([key, value]) => [key, at(value)]))
  expect(await pathRefusal(roots, tool, placed)).toBeUndefined()
})

test.each([
  ['Read', { file_path: '/etc/passwd' }],
  ['Read', { file_path: '../secret' }],
  ['Read', { file_path: 'ROOT/workspace/../secret' }],
  ['Read', { file_path: 'ROOT/workspace-of-another/a' }],
  ['Read', { file_path: 'ROOT/workspace/link' }],
  ['Edit', { file_path: 'up/secret' }],
  ['Write', { file_path: 'ROOT/workspace/up/new.txt' }],
  ['NotebookEdit', { notebook_path: '/root/n.ipynb' }],
  ['Grep', { pattern: 'x', path: '/' }],
  ['Glob', { pattern: '*', path: '..' }],
  ['Glob', { pattern: '/etc/*' }],
  ['Glob', { pattern: '**/../../*' }],
  ['Glob', { pattern: 'up/*' }],
])('%s of %j is refused', async (tool, input) => {
  const placed = Object.fromEntries(Object.entries(input).map(([key, value]) => [key, at(value)]))
  expect(await pathRefusal(roots, tool, placed)).toMatch(/workspace|link/)
})
