/**
 * Pid files: whoever is found is really the daemon that wrote the file.
 */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  claimPidFile,
  ensurePidFolder,
  forgetDead,
  pidFolder,
  releasePidFile,
  rewritePidFile,
  runningNode,
  runningNodes,
  thisNode,
} from '../../src/cli/pid-files.js'

const PLACE = { role: 'all', name: 'daemon', host: '127.0.0.1', port: 8787 }
const us = thisNode(PLACE)
/** Our pid, used before us by a process that is gone. */
const former = { ...us, bornAt: 'long ago' }
let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pid-files-'))
  path = join(folder, 'daemon.pid')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('the first line of the file is the pid, as other programs expect', () => {
  claimPidFile(path, us)

  expect(readFileSync(path, 'utf8').split('\n')[0]).toBe(String(process.pid))
})

test('a file of a living daemon is not taken from it, and names it', () => {
  claimPidFile(path, us)

  expect(claimPidFile(path, { ...us, pid: us.pid + 1 })).toMatchObject({ pid: us.pid, port: 8787 })
  expect(runningNode(path)?.pid).toBe(us.pid)
})

test('a process that only has the same pid is not the daemon', () => {
  claimPidFile(path, former)

  expect(runningNode(path)).toBeUndefined()
  expect(claimPidFile(path, us)).toBeUndefined()
  expect(runningNode(path)).toMatchObject(PLACE)
})

test.each(['', '12\n', '12\n{"pid":-1,"bornAt":"1"}\n', 'not a number\nnor JSON'])(
  'a file that holds %j is nobody, and may be replaced',
  (text) => {
    writeFileSync(path, text)

    expect(runningNode(path)).toBeUndefined()
    expect(claimPidFile(path, us)).toBeUndefined()
  },
)

test('a daemon that took a free port tells it afterwards', () => {
  claimPidFile(path, us)
  rewritePidFile(path, { ...us, port: 4242 })

  expect(runningNodes(folder)).toMatchObject([{ pid: us.pid, port: 4242 }])
})

test('what killed daemons left is removed, and what lives stays', () => {
  claimPidFile(path, us)
  claimPidFile(join(folder, 'former.pid'), former)
  forgetDead(folder)

  expect(runningNodes(folder).map((node) => node.path)).toEqual([path])
})

test('a file is given back only by the process that it names', () => {
  claimPidFile(path, us)
  releasePidFile(path, us.pid + 1)
  expect(runningNode(path)).toBeDefined()

  releasePidFile(path, us.pid)
  expect(runningNode(path)).toBeUndefined()
})

test('a folder that does not exist, or cannot, holds no daemons', () => {
  claimPidFile(path, us)

  expect(runningNodes(join(folder, 'none'))).toEqual([])
  expect(runningNodes(join(path, 'none'))).toEqual([])
})

test('the folder is made, and what it should stand in is not', () => {
  ensurePidFolder(join(folder, 'made'))

  expect(runningNodes(join(folder, 'made'))).toEqual([])
  expect(() => ensurePidFolder(join(folder, 'missing', 'made'))).toThrow(/ENOENT/)
})

test('a link in the place of the folder is refused: it could lead to files of others', () => {
  const link = join(folder, 'link')
  symlinkSync(folder, link)

  expect(() => ensurePidFolder(link)).toThrow(/belongs to another user/)
})

test('the folder is the one of the user session, where there is one', () => {
  expect(pidFolder({ XDG_RUNTIME_DIR: '/run/user/7' })).toBe('/run/user/7/orchestrator-daemon')
  expect(pidFolder({})).toContain(`orchestrator-daemon-${process.getuid?.() ?? 0}`)
})
