/**
 * A PGlite directory belongs to one process, and what was acknowledged in it survives a killed one.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Database, openDatabase } from '../../../src/storage/database.js'
import { DeadLetters } from '../../../src/storage/dead-letters.js'
import { lockDirectory } from '../../../src/storage/directory-lock.js'
import type { Order, Outcome } from './processes/lock-contender.js'

const CONTENDERS = 4
const ROUNDS = 25
/** The largest pid that Linux hands out is 4194304. */
const DEAD_PID = 4_194_305
const LONG_AGO = new Date('2020-01-01')

let parent: string
let directory: string
const children: ChildProcess[] = []
const databases: Database[] = []

beforeEach(() => {
  parent = realpathSync(mkdtempSync(join(tmpdir(), 'pglite-')))
  directory = join(parent, 'data')
})

afterEach(async () => {
  await Promise.all(children.splice(0).map(kill))
  await Promise.all(databases.splice(0).map((database) => database.close()))
  rmSync(parent, { recursive: true })
})

async function open(): Promise<Database> {
  const database = await openDatabase({ kind: 'pglite', directory })
  databases.push(database)
  return database
}

function start(program: string): ChildProcess {
  const file = fileURLToPath(new URL(`./processes/${program}`, import.meta.url))
  const child = fork(file, [directory], { execArgv: ['--import', 'tsx'] })
  children.push(child)
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

async function contender(): Promise<(order: Order) => Promise<Outcome>> {
  const child = start('lock-contender.ts')
  await once(child, 'message')
  return async (order) => {
    child.send(order)
    return (await once(child, 'message'))[0] as Outcome
  }
}

const holderOf = (changes: object): string =>
  JSON.stringify({ pid: DEAD_PID, host: hostname(), token: `dead ${Math.random()}`, ...changes })

test('data is there again after the directory was closed', async () => {
  const before = await open()
  await before.sql.schema.createTable('kept').addColumn('id', 'int8').execute()
  await before.close()

  const after = await open()

  expect((await after.sql.introspection.getTables()).map(({ name }) => name)).toContain('kept')
})

test('a second opener in the same process is told who has the directory', async () => {
  await open()

  const second = openDatabase({ kind: 'pglite', directory: `${directory}/../data/` })

  await expect(second).rejects.toThrow(`The data directory ${directory} is in use by process ${process.pid}`)
})

test('every acknowledged row is there after the writer was killed', { timeout: 60_000 }, async () => {
  const acknowledged: string[] = []
  for (const rows of [60, 150]) {
    const writer = start('pglite-writer.ts')
    const target = acknowledged.length + rows
    writer.on('message', (id) => acknowledged.push(String(id)))
    await vi.waitUntil(() => acknowledged.length >= target, { timeout: 30_000, interval: 1 })
    await kill(writer)
  }

  const stored = await new DeadLetters(await open()).list('t', 10_000)

  const ids = new Set(stored.map(({ id }) => id))
  expect(acknowledged.filter((id) => !ids.has(id))).toEqual([])
})

test('a first start that was cut begins anew', { timeout: 60_000 }, async () => {
  const first = start('pglite-writer.ts')
  await vi.waitUntil(() => existsSync(join(directory, 'PG_VERSION')), { timeout: 30_000, interval: 1 })
  await kill(first)
  expect(readdirSync(parent)).toContain('data.unfinished')

  const database = await open()

  expect(await database.sql.introspection.getTables()).toEqual([])
  expect(readdirSync(parent)).not.toContain('data.unfinished')
})

test('a directory with other files is refused and left as it is', async () => {
  rmSync(parent, { recursive: true })
  directory = parent = realpathSync(mkdtempSync(join(tmpdir(), 'pglite-')))
  writeFileSync(join(directory, 'thesis.txt'), 'years of work')

  await expect(open()).rejects.toThrow('holds other files than a database')
  await expect(open()).rejects.toThrow('holds other files than a database')

  expect(readFileSync(join(directory, 'thesis.txt'), 'utf8')).toBe('years of work')
  rmSync(`${directory}.lock`, { force: true })
})

test('a live process keeps its lock, and a killed one loses it', async () => {
  const order = await contender()
  expect(await order({ lock: directory })).toBe('locked')
  const [child] = children
  expect(() => lockDirectory(directory)).toThrow(`in use by process ${child?.pid}`)

  if (child) await kill(child)

  lockDirectory(directory).release()
})

test('a released lock leaves nothing behind and is free at once', () => {
  lockDirectory(directory).release()
  const lock = lockDirectory(directory)
  lock.release()
  lock.release()

  expect(readdirSync(parent)).toEqual([])
})

test.runIf(existsSync('/proc/self/stat'))('a pid that another process has by now does not hold the lock', () => {
  writeFileSync(`${directory}.lock`, holderOf({ pid: process.pid, startedAt: '1' }))

  lockDirectory(directory).release()
})

test('a holder in another container keeps its lock for as long as it gives signs of life', () => {
  writeFileSync(`${directory}.lock`, holderOf({ host: 'another' }))
  expect(() => lockDirectory(directory)).toThrow(`in use by process ${DEAD_PID} on another`)

  utimesSync(`${directory}.lock`, LONG_AGO, LONG_AGO)

  lockDirectory(directory).release()
})

test('a damaged lock file is never taken for a free one', () => {
  writeFileSync(`${directory}.lock`, '')

  expect(() => lockDirectory(directory)).toThrow(`The lock file ${directory}.lock is damaged`)
})

test('of several processes that find a dead lock exactly one takes it over', { timeout: 60_000 }, async () => {
  const orders = await Promise.all(Array.from({ length: CONTENDERS }, contender))
  for (let round = 0; round < ROUNDS; round++) {
    writeFileSync(`${directory}.lock`, holderOf({}))
    // Every other time somebody died in the middle of a takeover.
    if (round % 2 === 1) writeFileSync(`${directory}.lock.takeover`, holderOf({}))

    const outcomes = await Promise.all(orders.map((order) => order({ lock: directory })))

    expect(outcomes.filter((outcome) => outcome === 'locked')).toHaveLength(1)
    await Promise.all(orders.map((order) => order('release')))
    expect(readdirSync(parent).filter((name) => name !== 'data')).toEqual([])
  }
})

test('a directory below a file is refused with a sentence that names the file', async () => {
  writeFileSync(directory, '')
  const below = join(directory, 'deeper', 'database')

  await expect(openDatabase({ kind: 'pglite', directory: below })).rejects.toThrow(
    `the data directory ${below} cannot be used: ${directory} is not a directory (ENOTDIR); `,
  )
})

// The kernel's own folder refuses even root, where it is mounted.
test.runIf(existsSync('/sys/kernel'))('a folder in which nobody may write is named, with what to do', async () => {
  await expect(openDatabase({ kind: 'pglite', directory: '/sys/none/database' })).rejects.toThrow(
    /^the data directory \/sys\/none\/database cannot be used: \/sys (may not be written by user \d+|is on a read-only disk) \(E[A-Z]+\); \w.+, or set DATA_DIR to another folder$/,
  )
})
