/**
 * Projected events come back in order, page by page, and byte by byte as they were logged.
 */
import { beforeEach, expect, test } from 'vitest'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { Database } from '../../../src/storage/database.js'
import { Events } from '../../../src/storage/events.js'
import { Projection } from '../../../src/storage/projection.js'
import { eachDatabase } from '../../support/databases.js'

const START = { epoch: 0, seq: 0 }
/** What a JSON column that understood its content would change or refuse. */
const BODIES = [
  '{"type":"x","b":1,"a":2,"a":3}',
  '  {\n\t"type" : "x" ,\r\n "n" : 1.0e2, "big": 12345678901234567890.10 }  ',
  '{"type":"x","text":"ünïcödé 😀 \\u0000 \\ud800 \\"quoted\\" \\\\ back\\/slash"}',
  '{"type":"x","csv":"a,b;{c}","null":null,"text":"NULL"}',
  '{}',
]

/** `JSON.stringify` gives up before this depth, and everything that is stored has gone through it. */
const DEEPEST = 6_000

eachDatabase((open) => {
  let database: Database
  let events: Events
  let sessionId: string

  beforeEach(async () => {
    database = await open()
    events = new Events(database)
    sessionId = newSessionId(1)
  })

  /** Five events of epoch 7, then three of epoch 9: numbers go on across owners. */
  async function project(bodies: readonly string[] = BODIES): Promise<void> {
    const rows = [...bodies, '[1]', '[2]', '[3]'].map((body, index) => ({
      sessionId,
      epoch: index < bodies.length ? 7 : 9,
      seq: index + 1,
      type: 'session_status_update',
      at: '2026-01-02T03:04:05.678Z',
      body,
    }))
    await new Projection(database).project([{ shard: 1, epoch: 9, events: rows, sessions: [] }])
  }

  test('bodies come back byte by byte', async () => {
    await project()

    const page = await events.page(sessionId, START, undefined, BODIES.length)

    expect(page.map(({ body }) => body)).toEqual(BODIES)
    expect(page[0]).toEqual({ eventId: '7-1', type: 'session_status_update', body: BODIES[0] })
  })

  test('pages from the end come latest first, across owners too', async () => {
    await project()
    const ids = async (upTo: typeof START, limit: number) =>
      (await events.pageBack(sessionId, upTo, limit)).map(({ eventId }) => eventId)

    expect(await ids({ epoch: 9, seq: 8 }, 4)).toEqual(['9-8', '9-7', '9-6', '7-5'])
    expect(await ids({ epoch: 9, seq: 5 }, 2)).toEqual(['7-5', '7-4'])
    expect(await ids({ epoch: 7, seq: 2 }, 9)).toEqual(['7-2', '7-1'])
    expect(await ids({ epoch: 7, seq: 0 }, 9)).toEqual([])
    expect((await events.pageBack(sessionId, { epoch: 7, seq: 1 }, 1))[0]?.body).toBe(BODIES[0])
  })

  test('a page begins after one position and ends with the other', async () => {
    await project()
    const ids = async (...page: [after: typeof START, upTo: typeof START | undefined, limit: number]) =>
      (await events.page(sessionId, ...page)).map(({ eventId }) => eventId)

    expect(await ids({ epoch: 7, seq: 4 }, { epoch: 9, seq: 7 }, 10)).toEqual(['7-5', '9-6', '9-7'])
    expect(await ids({ epoch: 7, seq: 4 }, undefined, 2)).toEqual(['7-5', '9-6'])
    expect(await ids({ epoch: 9, seq: 7 }, undefined, 10)).toEqual(['9-8'])
    expect(await ids({ epoch: 9, seq: 8 }, undefined, 10)).toEqual([])
  })

  test('a position counts only with the epoch that wrote it', async () => {
    await project()

    expect(await events.contains(sessionId, { epoch: 7, seq: 5 })).toBe(true)
    expect(await events.contains(sessionId, { epoch: 9, seq: 5 })).toBe(false)
    expect(await events.last(sessionId)).toEqual({ epoch: 9, seq: 8 })
  })

  test('a session without events has no last one', async () => {
    expect(await events.last(sessionId)).toBeUndefined()
    expect(await events.page(sessionId, START, undefined, 10)).toEqual([])
  })

  test('a body nested as deep as one can be written is stored', async () => {
    const deep = `{"type":"x","v":${'['.repeat(DEEPEST)}${']'.repeat(DEEPEST)}}`

    await project([deep])

    expect((await events.page(sessionId, START, undefined, 1))[0]?.body).toBe(deep)
  })
})
