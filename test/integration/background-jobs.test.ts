/**
 * A node that leads does all background jobs, counts them, and stops in time; workers answer when they are asked.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, expect, onTestFinished, test, vi } from 'vitest'
import { createServerDatabase } from '../support/databases.js'
import { PATIENCE, settingsFolder, startWith } from '../support/settings-fixture.js'

const JOBS = ['rebalance', 'hibernate', 'retention', 'rollup']
/** A stop that waits for its bounds takes longer. */
const STOP_MS = 15_000

const folder = settingsFolder()
afterAll(() => folder.remove())

test('each job is done by the leader of a cluster and shows on the page of metrics', async () => {
  const { url, remove } = await createServerDatabase()
  onTestFinished(remove)
  const running = await startWith(folder.path, {
    REDIS_URL: process.env.TEST_REDIS_URL ?? '',
    DATABASE_URL: url,
    CLUSTER_NAME: `jobs-${randomBytes(4).toString('hex')}`,
    SHARD_COUNT: '4',
  })
  const page = async () => await (await fetch(`http://127.0.0.1:${running.daemon.metricsPort}/metrics`)).text()

  for (const job of JOBS) {
    const done = new RegExp(`^orchestrator_jobs_total\\{job_name="${job}",outcome="done"\\} [1-9]`, 'm')
    await vi.waitUntil(async () => done.test(await page()), PATIENCE)
  }
  expect(await page()).not.toMatch(/orchestrator_jobs_total\{[^}]*outcome="failed"/)
  expect(await page()).toContain('orchestrator_job_seconds_bucket')
  const stoppedAt = performance.now()
  await running.stop()

  expect(performance.now() - stoppedAt).toBeLessThan(STOP_MS)
  expect(running.lines.filter((line) => line.includes('a stop is late'))).toEqual([])
})
