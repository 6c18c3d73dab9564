/**
 * The file tools: what they answer, and that they stay in the workspace.
 */
import { spawnSync } from 'node:child_process'
import { mkdir, readFile, realpath, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { standardTools } from '../../../src/runtimes/tools/toolbox.js'
import { caller, temporaryWorkspace } from './tool-call.js'

let outside: string
let workspace: string
beforeEach(async () => {
  outside = await temporaryWorkspace()
  workspace = await temporaryWorkspace()
  await writeFile(join(outside, 'secret'), 'the secret')
  await mkdir(join(outside, 'directory'))
  await mkdir(join(workspace, 'inner'))
  await writeFile(join(workspace, 'inner', 'file'), 'inner text')
  await symlink(join(outside, 'secret'), join(workspace, 'link-to-file'))
  await symlink(outside, join(workspace, 'link-to-directory'))
  await symlink('../link-to-directory', join(workspace, 'inner', 'link-to-link'))
  await symlink(join(outside, 'not-yet'), join(workspace, 'link-to-nothing'))
  await symlink('../inner/file', join(workspace, 'inner', 'link-inside'))
  await symlink('loop', join(workspace, 'loop'))
})

describe('no path leads out of the workspace', () => {
  const ways = [
    '../secret',
    '../../etc/passwd',
    'inner/../../secret',
    'a/b/../../../c',
    '/../secret',
    'link-to-file',
    'link-to-directory/secret',
    'link-to-directory/directory/new',
    'inner/link-to-link/secret',
    'link-to-nothing',
    'link-to-directory/../secret-beside',
    'loop',
    'nul\0byte',
  ]

  test.each(ways)('file_read %j', async (path) => {
    const outcome = await caller(workspace).outcome('file_read', { path })
    expect(outcome.status).toBe('failed')
    expect(JSON.stringify(outcome)).not.toContain('the secret')
  })

  // `link/..` is resolved as text before the disk is asked, so that one means a file of the workspace and is written.
  test.each(ways.filter((way) => way !== 'link-to-directory/../secret-beside'))('file_write %j', async (path) => {
    const outcome = await caller(workspace).outcome('file_write', { path, content: 'overwritten' })
    expect(outcome.status).toBe('failed')
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('the secret')
    for (const name of ['not-yet', 'new', 'directory/new'])
      await expect(stat(join(outside, name))).rejects.toThrow('ENOENT')
  })

  test.each(['..', '/..', 'link-to-directory', 'inner/link-to-link', 'link-to-directory/directory'])(
    'file_list %j',
    async (path) => {
      expect(await caller(workspace).outcome('file_list', { path })).toMatchObject({ status: 'failed' })
    },
  )

  test.each(['..', '../secret', 'link-to-directory/secret', 'inner/link-to-link/directory', '.', '/'])(
    'file_delete %j',
    async (path) => {
      expect(await caller(workspace).outcome('file_delete', { path, recursive: true })).toMatchObject({
        status: 'failed',
      })
      expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('the secret')
      expect((await stat(join(outside, 'directory'))).isDirectory()).toBe(true)
    },
  )

  test.each(['..', '/tmp/..', 'link-to-directory'])('bash_execute in %j', async (cwd) => {
    const outcome = await caller(workspace).outcome('bash_execute', { command: 'pwd', cwd })
    // `/tmp/..` is the workspace's own root in the model's view, and nothing else.
    if (outcome.status === 'completed') expect(outcome.result.stdout).toBe(`${await realpath(workspace)}\n`)
    else expect(outcome.error).toMatch(/workspace|no such/)
  })

  test('deleting a link that points out deletes the link, not what it points to', async () => {
    expect(await caller(workspace).result('file_delete', { path: 'link-to-file' })).toEqual({
      path: 'link-to-file',
      deleted: true,
      type: 'symlink',
    })
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('the secret')
  })

  test('deleting a directory with a link in it leaves what the link points to', async () => {
    await symlink(outside, join(workspace, 'inner', 'out'))
    await caller(workspace).result('file_delete', { path: 'inner', recursive: true })
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('the secret')
  })
})

describe('inside the workspace', () => {
  test.each(['inner/file', './inner//file', '/inner/file', 'inner/../inner/file', 'inner/link-inside'])(
    'file_read %j',
    async (path) => {
      expect(await caller(workspace).result('file_read', { path })).toEqual({
        path: 'inner/file',
        content: 'inner text',
        size: 10,
        encoding: 'utf8',
      })
    },
  )

  test('an absolute path that lies in the workspace is taken as it is', async () => {
    const result = await caller(workspace).result('file_read', { path: join(workspace, 'inner/file') })
    expect(result).toMatchObject({ path: 'inner/file' })
  })

  test('an absolute path elsewhere means the same path below the workspace', async () => {
    await caller(workspace).result('file_write', { path: '/etc/hosts', content: 'mine' })
    expect(await readFile(join(workspace, 'etc', 'hosts'), 'utf8')).toBe('mine')
  })

  test('bytes survive writing and reading in base64', async () => {
    const content = Buffer.from([0, 1, 254, 255]).toString('base64')
    const call = caller(workspace)
    expect(await call.result('file_write', { path: 'new/dir/b', content, encoding: 'base64' })).toEqual({
      path: 'new/dir/b',
      size: 4,
      encoding: 'base64',
    })
    expect(await call.result('file_read', { path: 'new/dir/b', encoding: 'base64' })).toMatchObject({
      content,
      size: 4,
    })
  })

  test('writing a shorter text leaves nothing of the longer one', async () => {
    const call = caller(workspace)
    await call.result('file_write', { path: 'inner/file', content: 'x' })
    expect(await readFile(join(workspace, 'inner/file'), 'utf8')).toBe('x')
  })

  test('a long file is cut, and the model is told so', async () => {
    await writeFile(join(workspace, 'long'), 'x'.repeat(300_000))
    const result = await caller(workspace).result('file_read', { path: 'long' })
    expect(result).toMatchObject({
      size: 300_000,
      truncated: true,
      note: expect.stringMatching(/first 262144 of 300000/),
    })
    expect(String(result.content)).toHaveLength(262_144)
  })

  test.each([
    ['file_read', { path: 'none' }, /no such file/],
    ['file_read', { path: 'inner' }, /is a directory; use file_list/],
    ['file_read', { path: 'inner/file/below' }, /is a file, not a directory/],
    ['file_write', { path: 'inner', content: '' }, /is a directory/],
    ['file_write', { path: 'a/b', content: '', createDirectories: false }, /no such file/],
    ['file_write', { path: 'big', content: 'x'.repeat(5 * 1024 * 1024 + 1) }, /at most 5242880/],
    ['file_delete', { path: 'inner' }, /not empty; set recursive/],
    ['file_list', { path: 'inner/file' }, /is a file, not a directory/],
    ['file_read', { path: 7 }, /path: /],
  ])('%s %j fails with the cause', async (name, input, sentence) => {
    const outcome = await caller(workspace).outcome(name, input)
    expect(outcome).toEqual({ status: 'failed', error: expect.stringMatching(sentence) })
    expect(JSON.stringify(outcome)).not.toContain(workspace)
  })

  test('a named pipe is refused instead of waited for', async () => {
    spawnSync('mkfifo', [join(workspace, 'pipe')])
    const call = caller(workspace)
    expect(await call.outcome('file_read', { path: 'pipe' })).toMatchObject({ error: 'The path is not a regular file' })
    expect(await call.outcome('file_write', { path: 'pipe', content: 'x' })).toMatchObject({ status: 'failed' })
  })

  test('a deletion that is repeated says that nothing was there', async () => {
    const call = caller(workspace)
    expect(await call.result('file_delete', { path: 'inner/file' })).toMatchObject({ deleted: true, type: 'file' })
    expect(await call.result('file_delete', { path: 'inner/file' })).toMatchObject({ deleted: false, type: 'missing' })
  })

  test('a recursive listing names every file once, does not follow links, and does not enter .git', async () => {
    await mkdir(join(workspace, '.git', 'objects'), { recursive: true })
    const result = await caller(workspace).result('file_list', { path: '.', recursive: true })
    const files = result.files as { path: string; type: string; size: number; modified: string }[]
    expect(files.map(({ path, type }) => `${path} ${type}`)).toEqual([
      '.git directory',
      'inner directory',
      'link-to-directory symlink',
      'link-to-file symlink',
      'link-to-nothing symlink',
      'loop symlink',
      'inner/file file',
      'inner/link-inside symlink',
      'inner/link-to-link symlink',
    ])
    expect(result.count).toBe(9)
    expect(files[6]).toMatchObject({ size: 10, modified: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) })
  })

  test('a listing ends at 1,000 entries and says so', async () => {
    const many = await temporaryWorkspace()
    await Promise.all(Array.from({ length: 1001 }, (_, i) => writeFile(join(many, `f${i}`), '')))
    expect(await caller(many).result('file_list', { path: '.' })).toMatchObject({ count: 1000, truncated: true })
  })
})

test('the effect of a call decides what a crash may repeat', () => {
  const tools = standardTools()
  expect([
    tools.effectOf('file_read', { path: 'a' }),
    tools.effectOf('file_list', { path: 'a' }),
    tools.effectOf('file_write', { path: 'a', content: '' }),
    tools.effectOf('file_delete', { path: 'a' }),
    tools.effectOf('bash_execute', { command: 'ls' }),
    tools.effectOf('web_fetch', { url: 'https://example.org' }),
    tools.effectOf('web_fetch', { url: 'https://example.org', method: 'POST' }),
    tools.effectOf('web_fetch', { url: 'https://example.org', method: 'PUT', idempotent: true }),
    tools.effectOf('bash_execute', {}),
    tools.effectOf('unknown', {}),
  ]).toEqual(['read', 'read', 'idempotent', 'idempotent', 'once', 'read', 'once', 'idempotent', 'read', 'once'])
})

test('X-08, TOOLS: the six tools are offered with the input schemas of the reference, and a word about repetition', () => {
  const shape = standardTools().specs.map(({ name, parameters }) => {
    const { properties = {}, required = [] } = parameters as { properties?: object; required?: string[] }
    return `${name} ${Object.keys(properties).map((key) => (required.includes(key) ? `${key}*` : key))}`
  })
  expect(shape).toEqual([
    'file_read path*,encoding',
    'file_write path*,content*,encoding,createDirectories',
    'file_list path*,recursive',
    'file_delete path*,recursive',
    'bash_execute command*,cwd,timeout',
    'web_fetch url*,method,headers,timeout,idempotent',
  ])
})
