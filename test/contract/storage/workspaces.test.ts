/**
 * Files of sessions, and commands set aside.
 */
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { Database } from '../../../src/storage/database.js'
import { DeadLetters } from '../../../src/storage/dead-letters.js'
import { MAX_WORKSPACE_BYTES, Workspaces } from '../../../src/storage/workspaces.js'
import { eachDatabase } from '../../support/databases.js'

const file = (path: string, content: string | Buffer, mode = 0o644) => ({ path, mode, bytes: Buffer.from(content) })
const sha256 = (content: string): string => createHash('sha256').update(content).digest('hex')

eachDatabase((open) => {
  let database: Database
  let workspaces: Workspaces
  let session: string
  beforeEach(async () => {
    database = await open()
    workspaces = new Workspaces(database)
    session = newSessionId(0)
    await sql`truncate workspace_files, workspace_blobs, dead_letters`.execute(database.sql)
  })

  const contents = async (): Promise<number> =>
    (await database.sql.selectFrom('workspace_blobs').select('hash').execute()).length

  test('files come back with their bytes and modes', async () => {
    const binary = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

    await workspaces.save(session, [file('src/ü.txt', 'text'), file('bin', binary, 0o755), file('empty', '')], [])

    expect(await workspaces.load(session)).toEqual([
      file('bin', binary, 0o755),
      file('empty', ''),
      file('src/ü.txt', 'text'),
    ])
    expect(await workspaces.load(newSessionId(0))).toEqual([])
  })

  test('a later save changes, adds and deletes', async () => {
    await workspaces.save(session, [file('kept', 'k'), file('changed', 'old'), file('deleted', 'd')], [])

    await workspaces.save(session, [file('changed', 'new', 0o600), file('added', 'a')], ['deleted', 'never there'])

    expect(await workspaces.load(session)).toEqual([
      file('added', 'a'),
      file('changed', 'new', 0o600),
      file('kept', 'k'),
    ])
    expect(await workspaces.listHashes(session)).toEqual(
      new Map([
        ['added', sha256('a')],
        ['changed', sha256('new')],
        ['kept', sha256('k')],
      ]),
    )
  })

  test('equal contents are stored once, and swept when the last file is gone', async () => {
    const other = newSessionId(0)
    await Promise.all([
      workspaces.save(session, [file('a', 'same'), file('b', 'same')], []),
      workspaces.save(other, [file('c', 'same')], []),
    ])
    expect(await contents()).toBe(1)
    await workspaces.save(session, [], ['a', 'b'])
    expect(await workspaces.sweepContents(10)).toBe(0)
    await workspaces.save(other, [], ['c'])

    expect(await workspaces.sweepContents(10)).toBe(1)

    expect(await contents()).toBe(0)
  })

  test('sweeps beside saves never take a content that is in use', async () => {
    const saves = Array.from({ length: 30 }, (_, n) => workspaces.save(session, [file('f', `content ${n % 3}`)], []))
    const sweeps = Array.from({ length: 10 }, () => workspaces.sweepContents(10))

    await Promise.all([...saves, ...sweeps])

    expect(await workspaces.load(session)).toHaveLength(1)
  })

  test('a session may fill its space and not one byte more', async () => {
    const half = Buffer.alloc(MAX_WORKSPACE_BYTES / 2, 1)
    await workspaces.save(session, [file('a', half), file('b', half)], [])

    await expect(workspaces.save(session, [file('c', 'x')], [])).rejects.toMatchObject({ code: 'invalid_payload' })
    expect([...(await workspaces.listHashes(session)).keys()].sort()).toEqual(['a', 'b'])

    await workspaces.save(session, [file('c', 'x')], ['b'])
    expect([...(await workspaces.listHashes(session)).keys()].sort()).toEqual(['a', 'c'])
  })

  test.each(['/etc/passwd', '../outside', 'a/../../outside', ''])('the path %j is refused', async (path) => {
    await expect(workspaces.save(session, [file(path, 'x')], [])).rejects.toMatchObject({ code: '23514' })
  })

  test('a dead letter is recorded once and found by its tenant', async () => {
    const letters = new DeadLetters(database)
    const letter = { id: 'd1', sessionId: session, tenant: 'acme', command: '{ "b":1, "a":"\\u0000" }', attempts: 3 }
    await letters.record({ ...letter, reason: 'cut \0 off' })
    await letters.record({ ...letter, reason: 'again' })
    await letters.record({ ...letter, id: 'd2', tenant: 'other', reason: 'x' })

    expect(await letters.list('acme', 10)).toEqual([{ ...letter, reason: 'cut \uFFFD off', at: expect.any(Date) }])
  })
})
