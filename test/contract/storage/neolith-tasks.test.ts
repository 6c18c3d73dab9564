/**
 * Tasks of Neolith in every database: taken in once, seen to by one, moved on only by who holds them.
 */
import { sql } from 'kysely'
import { beforeAll, expect, test } from 'vitest'
import type { Database } from '../../../src/storage/database.js'
import { NeolithTasks, type Posting } from '../../../src/storage/neolith-tasks.js'
import { eachDatabase, openConnections } from '../../support/databases.js'

const LEASE_MS = 60_000
const SINCE = new Date('2026-01-01T00:00:00.000Z')

eachDatabase((open) => {
  let database: Database
  let tasks: NeolithTasks
  let count = 0
  beforeAll(async () => {
    database = await open()
    tasks = new NeolithTasks(database)
  })

  const orchestrator = (): string => `orch-${++count}`
  const task = (messageId: string) => ({ messageId, channelId: 'chan-1', content: 'build it', author: 'alice' })
  const posting = (content: string): Posting => ({
    ...{ key: `m1/${content}`, content, kind: 'progress', taskId: 't', position: { eventId: '1-2' } },
  })
  const letTimePass = (name: string) =>
    sql`update neolith_tasks set watched_until = now() - interval '1 second' where orchestrator = ${name}`.execute(
      database.sql,
    )
  const claimed = async (name: string, watcher = 'node-a') => {
    await tasks.take(name, [task('m1')], SINCE)
    await tasks.claim(name, watcher, LEASE_MS, 10)
    return { orchestrator: name, messageId: 'm1', watcher }
  }

  test('the same message is taken in once, however often it comes', async () => {
    const name = orchestrator()

    expect(await tasks.take(name, [task('m1'), task('m2')], SINCE)).toBe(2)
    expect(await tasks.take(name, [task('m2'), task('m3')], SINCE)).toBe(1)

    expect(await tasks.claim(name, 'node-a', LEASE_MS, 10)).toHaveLength(3)
  })

  test('it is noted up to when events were taken in, and never back', async () => {
    const name = orchestrator()
    expect(await tasks.since(name)).toBeUndefined()

    await tasks.take(name, [], new Date(SINCE.getTime() + 5_000))
    await tasks.take(name, [], SINCE)

    expect(await tasks.since(name)).toEqual(new Date(SINCE.getTime() + 5_000))
  })

  test('a task is given to one of many that ask', async () => {
    const name = orchestrator()
    await openConnections(database)
    await tasks.take(name, [task('m1'), task('m2'), task('m3')], SINCE)

    const given = await Promise.all(['a', 'b', 'c', 'd'].map((watcher) => tasks.claim(name, watcher, LEASE_MS, 2)))

    expect(
      given
        .flat()
        .map(({ messageId }) => messageId)
        .sort(),
    ).toEqual(['m1', 'm2', 'm3'])
  })

  test('what a node that died had is given to the next one, as it stands', async () => {
    const name = orchestrator()
    const held = await claimed(name)
    await tasks.noteSession(held, 'session_1')
    await tasks.announce(held, posting('first'))
    await tasks.posted(held, posting('first'))
    await tasks.announce(held, posting('second'))
    expect(await tasks.claim(name, 'node-b', LEASE_MS, 10)).toEqual([])

    await letTimePass(name)

    const [row] = await tasks.claim(name, 'node-b', LEASE_MS, 10)
    expect(row).toMatchObject({ sessionId: 'session_1', position: { eventId: '1-2' }, posting: posting('second') })
  })

  test('who holds a task no more changes nothing', async () => {
    const name = orchestrator()
    const held = await claimed(name)
    await letTimePass(name)
    await tasks.claim(name, 'node-b', LEASE_MS, 10)

    expect([
      await tasks.noteSession(held, 'session_2'),
      await tasks.announce(held, posting('late')),
      await tasks.posted(held, posting('late')),
      await tasks.finish(held, 'answered'),
    ]).toEqual([false, false, false, false])
    expect((await tasks.renew('node-a', [held], LEASE_MS)).size).toBe(0)
    expect((await tasks.renew('node-b', [held], LEASE_MS)).has('m1')).toBe(true)
  })

  test('a task that is over is seen to by nobody, and is known for a week', async () => {
    const name = orchestrator()
    const held = await claimed(name)

    expect(await tasks.finish(held, 'answered')).toBe(true)
    expect(await tasks.finish(held, 'answered')).toBe(false)

    await tasks.letGo('node-a')
    expect(await tasks.claim(name, 'node-b', LEASE_MS, 10)).toEqual([])
    await tasks.forgetOld()
    expect(await tasks.take(name, [task('m1')], SINCE)).toBe(0)
    await sql`update neolith_tasks set ended_at = now() - interval '8 days' where orchestrator = ${name}`.execute(
      database.sql,
    )
    await tasks.forgetOld()
    expect(await tasks.take(name, [task('m1')], SINCE)).toBe(1)
  })

  test('a task that must wait is given to nobody until then, and one that was let go of at once', async () => {
    const name = orchestrator()
    const held = await claimed(name)
    await tasks.postpone(held, 60_000)
    expect(await tasks.claim(name, 'node-b', LEASE_MS, 10)).toEqual([])
    await sql`update neolith_tasks set not_before = now() where orchestrator = ${name}`.execute(database.sql)

    const [again] = await tasks.claim(name, 'node-b', LEASE_MS, 10)
    await tasks.letGo('node-b')

    expect(again).toMatchObject({ failures: 1 })
    expect(await tasks.claim(name, 'node-c', LEASE_MS, 10)).toHaveLength(1)
  })

  test('text that no database can hold is held all the same', async () => {
    const name = orchestrator()
    await tasks.take(name, [{ ...task('m1'), content: 'a\0b' }], SINCE)
    const [row] = await tasks.claim(name, 'node-a', LEASE_MS, 10)

    expect(row?.content).toBe('a\uFFFDb')
    const held = { orchestrator: name, messageId: 'm1', watcher: 'node-a' }
    expect(await tasks.announce(held, posting('c\0\ud800'))).toBe(true)
  })

  test('answers are claimed beside tasks, and a task that is open is found in its channel', async () => {
    const name = orchestrator()
    const answers = { thread: 'm1', decision: 'reject', reason: 'too "dear"' } as const
    await tasks.take(name, [task('m1'), { ...task('m2'), answers }, { ...task('m3'), channelId: 'other' }], SINCE)

    expect(await tasks.openIn(name, 'chan-1')).toEqual(new Set(['m1']))
    expect(await tasks.find({ orchestrator: name, messageId: 'm2' })).toMatchObject({ answers, author: 'alice' })
    expect(await tasks.find({ orchestrator: name, messageId: 'm9' })).toBeUndefined()
    expect(await tasks.claim(name, 'node-a', LEASE_MS, 10, 'answers')).toMatchObject([{ messageId: 'm2', answers }])
    expect((await tasks.claim(name, 'node-a', LEASE_MS, 10)).map(({ messageId }) => messageId).toSorted()).toEqual([
      'm1',
      'm3',
    ])
  })
})
