/**
 * `npm run demo -- --cluster`: six processes, twenty sessions that stream, and a worker that is killed under them.
 */
import { Redis } from 'ioredis'
import pg from 'pg'
import { expect, test } from 'vitest'
import { runDemo } from '../support/demo-run.js'

const SESSIONS = 20

interface ClusterResult {
  readonly killed: { readonly node: string; readonly sessions: readonly string[] }
  readonly takeovers: readonly { readonly id: string; readonly fromWorker: string; readonly worker: string }[]
  readonly takeoverMs: { readonly max: number }
}

test('a worker is killed while twenty sessions stream, and every client gets exactly what is logged', async () => {
  const run = await runDemo('--cluster', '--sessions', String(SESSIONS))

  console.info(`the demo's result: ${JSON.stringify(run.result)}`)
  expect(run.result, run.stderr).toMatchObject({
    ...{ ok: true, failures: [], model: 'scripted' },
    ...{ sessions: SESSIONS, completed: SESSIONS, countedRight: SESSIONS },
  })
  expect(run.exitCode).toBe(0)
  const { killed, takeovers, takeoverMs } = run.result as ClusterResult
  expect(killed.sessions.length).toBeGreaterThan(0)
  for (const id of killed.sessions) {
    const takeover = takeovers.find((each) => each.id === id)
    expect(takeover?.fromWorker).toBe(killed.node)
    expect(takeover?.worker).not.toBe(killed.node)
  }
  // Milliseconds are judged elsewhere: the machine may be busy.
  expect(takeoverMs.max).toBeLessThan(30_000)
  expect(await left()).toEqual({ keys: [], databases: [] })
})

/** What the run has left on the servers that it was given. */
async function left(): Promise<{ keys: string[]; databases: string[] }> {
  const redis = new Redis(process.env.TEST_REDIS_URL ?? '')
  const client = new pg.Client({ connectionString: process.env.TEST_DATABASE_URL })
  await client.connect()
  try {
    const { rows } = await client.query<{ datname: string }>(`select datname from pg_database where datname ~ '^demo_'`)
    return { keys: await redis.keys('demo_*'), databases: rows.map(({ datname }) => datname) }
  } finally {
    redis.disconnect()
    await client.end()
  }
}
