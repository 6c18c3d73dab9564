import { chmod, mkdir, mkdtemp, readFile, stat, symlink, truncate, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  type Changes,
  changedFiles,
  MAX_WORKSPACE_BYTES,
  prepareWorkspace,
  restoreFiles,
  type WorkspaceFile,
} from '../../../src/runtimes/workspace.js'

const temporary = () => mkdtemp(join(tmpdir(), 'workspace-'))

function changes(result: Changes) {
  if (result.status !== 'ok') throw new Error(result.reason)
  return result
}

const byPath = (files: readonly WorkspaceFile[]) => [...files].sort((a, b) => a.path.localeCompare(b.path))

test('a session gets a directory that only we may enter, and the same one again', async () => {
  const root = join(await temporary(), 'sessions')
  const directory = await prepareWorkspace(root, 'session_00a_01')
  await writeFile(join(directory, 'kept'), '')

  expect(await prepareWorkspace(root, 'session_00a_01')).toBe(directory)
  expect((await stat(directory)).mode & 0o777).toBe(0o700)
  await expect(prepareWorkspace(root, '../else')).rejects.toThrow('cannot name a directory')
})

test('what changed travels and is restored exactly: contents, modes, deletions', async () => {
  const from = await temporary()
  await mkdir(join(from, 'src', 'deep'), { recursive: true })
  await writeFile(join(from, 'src', 'deep', 'a.bin'), Buffer.from([0, 255, 10]))
  await writeFile(join(from, 'run.sh'), '#!/bin/sh\n')
  await chmod(join(from, 'run.sh'), 0o755)
  const first = changes(await changedFiles(from, new Map()))
  const known = new Map(first.changed.map(({ path, hash }) => [path, hash]))
  await writeFile(join(from, 'new.txt'), 'new')
  await unlink(join(from, 'run.sh'))

  const second = changes(await changedFiles(from, known))

  expect(first.changed.map(({ path }) => path).sort()).toEqual(['run.sh', 'src/deep/a.bin'])
  expect(second.changed.map(({ path }) => path)).toEqual(['new.txt'])
  expect(second.deleted).toEqual(['run.sh'])

  const to = await temporary()
  await writeFile(join(to, 'half-written-by-an-interrupted-tool'), 'x')
  await restoreFiles(to, first.changed)
  const restored = changes(await changedFiles(to, new Map()))
  expect(byPath(restored.changed)).toEqual(byPath(first.changed))
})

test('links and temporary files do not travel', async () => {
  const directory = await temporary()
  await mkdir(join(directory, '.tmp'))
  await writeFile(join(directory, '.tmp', 'scratch'), 'x')
  await symlink('/etc/passwd', join(directory, 'link'))
  await symlink('/etc', join(directory, 'directory-link'))
  await writeFile(join(directory, 'file'), 'x')
  expect(changes(await changedFiles(directory, new Map())).changed.map(({ path }) => path)).toEqual(['file'])
})

test('a workspace beyond the limit is said to be too large instead of being read', async () => {
  const directory = await temporary()
  await writeFile(join(directory, 'big'), '')
  await truncate(join(directory, 'big'), MAX_WORKSPACE_BYTES + 1)
  expect(await changedFiles(directory, new Map())).toMatchObject({
    status: 'too_large',
    reason: expect.stringMatching(/more than 67108864 bytes/),
  })
})

test('a stored path that leads out of the workspace is refused', async () => {
  const directory = await temporary()
  const file = { path: '../out', mode: 0o644, bytes: Buffer.from('x') }
  await expect(restoreFiles(directory, [file])).rejects.toThrow('leaves the workspace')
})

test('a link that a tool left behind does not lead the restored files away', async () => {
  const outside = await temporary()
  const directory = await temporary()
  await symlink(outside, join(directory, 'src'))
  await restoreFiles(directory, [{ path: 'src/a', mode: 0o644, bytes: Buffer.from('x') }])
  await expect(readFile(join(outside, 'a'))).rejects.toThrow('ENOENT')
  expect(await readFile(join(directory, 'src', 'a'), 'utf8')).toBe('x')
})
