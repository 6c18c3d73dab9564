/**
 * A worker whose events PostgreSQL does not take, up to its bound and back.
 */
import { sql } from 'kysely'
import { expect, test, vi } from 'vitest'
import { Echo } from '../../src/runtimes/echo.js'
import { WorkerCluster } from '../support/worker-cluster.js'

const PATIENCE = { timeout: 20_000, interval: 20 } as const

test('above the bound work is busy and control passes; afterwards all of it is in PostgreSQL', async () => {
  const echo = new Echo()
  const cluster = await WorkerCluster.start({ runtimeOf: () => echo, maxUnprojected: { events: 40, chars: 1e6 } })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('echo', { description: 'first' })
  await session.event('task_completed')
  const statuses = () => cluster.acceptances.map(({ status }) => status)
  const release = await lockEvents(cluster)

  for (let n = 1; !statuses().includes('busy'); n++) {
    await session.execute({ description: `${n}` })
    // Each is answered before the next: events that are written make the bound, not commands that wait.
    await vi.waitFor(() => expect(statuses().length).toBe(n + 1), PATIENCE)
    if (!statuses().includes('busy')) await session.event('task_completed', n)
    expect(n).toBeLessThan(100)
  }
  await session.control('pause')
  await session.event('session_status_update')
  const done = session.events.length
  release()

  await session.control('resume')
  await session.event('session_status_update', 1)
  await vi.waitFor(async () => {
    const before = statuses().length
    await session.execute({ description: 'again' })
    await vi.waitFor(() => expect(statuses().length).toBe(before + 1), PATIENCE)
    expect(statuses().at(-1)).toBe('new')
  }, PATIENCE)
  // Whatever was accepted has ended, once; what was busy never began.
  const ends = () => session.events.filter(({ type }) => type === 'task_completed').length
  const works = cluster.acceptances.filter(({ status }) => status === 'new').length - 2
  await vi.waitFor(() => expect(ends()).toBe(works), PATIENCE)
  const count = async () => (await cluster.database.sql.selectFrom('events').select('seq').execute()).length
  await vi.waitFor(async () => expect(await count()).toBe(session.events.length), PATIENCE)
  expect(done).toBeGreaterThanOrEqual(40)
})

/** Nobody can write events until the returned function is called. */
async function lockEvents(cluster: WorkerCluster): Promise<() => void> {
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  await new Promise<void>((locked) => {
    void cluster.database.sql.transaction().execute(async (transaction) => {
      await sql`set local idle_in_transaction_session_timeout = 0`.execute(transaction)
      await sql`lock table events in access exclusive mode`.execute(transaction)
      locked()
      await released
    })
  })
  return release
}
