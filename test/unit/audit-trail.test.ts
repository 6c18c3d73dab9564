/**
 * A process's own notes on their way into the audit log: gathered, kept through an outage, counted where they are lost.
 */
import { expect, test, vi } from 'vitest'
import { type AuditEntry, SERVICE_CHAIN } from '../../src/storage/audit-log.js'
import { AuditTrail } from '../../src/storage/audit-trail.js'

const entry = (n: number): AuditEntry => ({
  ...{ tenant: 't', actor: 'a', action: 'x', sessionId: undefined, subject: String(n), detail: {} },
})

function fixture(patienceMs = 1_000) {
  const written: AuditEntry[][] = []
  const answers: (() => Promise<void>)[] = []
  const addAll = vi.fn(async (entries: readonly AuditEntry[]) => {
    await answers.shift()?.()
    written.push([...entries])
  })
  const error = vi.fn()
  const trail = new AuditTrail({ log: { addAll }, trace: { error }, patienceMs })
  const subjects = () => written.map((batch) => batch.map(({ subject }) => subject))
  return { trail, answers, written, subjects, error, addAll }
}

const away = (): Promise<never> => Promise.reject(Object.assign(new Error('away'), { code: 'ECONNREFUSED' }))

test('notes of one moment go with one statement, and what comes meanwhile with the next, in order', async () => {
  const { trail, answers, subjects } = fixture()
  let finish = (): void => undefined
  answers.push(() => new Promise((resolve) => (finish = resolve)))
  trail.add(entry(1))
  trail.add(entry(2))
  await vi.waitUntil(() => answers.length === 0)
  for (const n of [3, 4, 5]) trail.add(entry(n))
  finish()
  await trail.stop()

  expect(subjects()).toEqual([
    ['1', '2'],
    ['3', '4', '5'],
  ])
})

test('a statement has so many notes at most', async () => {
  const { trail, written } = fixture()
  for (let n = 0; n < 450; n++) trail.add(entry(n))
  await trail.stop()

  expect(written.map(({ length }) => length)).toEqual([200, 200, 50])
})

test('notes wait through an outage of the database', async () => {
  const { trail, answers, subjects, error } = fixture()
  answers.push(away, away)
  trail.add(entry(1))
  await trail.stop()

  expect(subjects()).toEqual([['1']])
  expect(error).not.toHaveBeenCalled()
})

test('what cannot be written is said in the log, and counted in the audit log when it can be written again', async () => {
  const { trail, answers, written, error } = fixture(20)
  answers.push(() => Promise.reject(new Error('a column is missing')))
  trail.add(entry(1))
  trail.add(entry(2))
  await vi.waitUntil(() => error.mock.calls.length === 1)
  trail.add(entry(3))
  await trail.stop()

  expect(written[0]?.[0]).toMatchObject({ subject: '3' })
  expect(written[0]?.[1]).toMatchObject({ tenant: SERVICE_CHAIN, action: 'audit.lost', detail: { rows: 2 } })
})

test('more notes than may wait are not kept, and their number is noted', async () => {
  const { trail, answers, written } = fixture()
  let finish = (): void => undefined
  answers.push(() => new Promise((resolve) => (finish = resolve)))
  trail.add(entry(0))
  await vi.waitUntil(() => answers.length === 0)
  for (let n = 0; n < 10_007; n++) trail.add(entry(n))
  finish()
  await trail.stop()

  const all = written.flat()
  expect(all.filter(({ action }) => action === 'x')).toHaveLength(10_001)
  expect(all.filter(({ action }) => action === 'audit.lost')).toMatchObject([{ detail: { rows: 7 } }])
})

test('a stop does not wait for a database that is away', async () => {
  const { trail, error, addAll } = fixture(60_000)
  addAll.mockImplementation(away)
  for (let n = 0; n < 300; n++) trail.add(entry(n))
  const startedAt = performance.now()

  await trail.stop()

  expect(performance.now() - startedAt).toBeLessThan(4_000)
  expect(error).toHaveBeenCalledWith(expect.objectContaining({ rows: 300 }), expect.any(String))
})
