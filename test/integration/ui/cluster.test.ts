/**
 * The map of a cluster that is larger than one process: the browser is real, the answers about the cluster are the test's.
 */
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClusterNode, ClusterShard } from '../../../ui/model/shapes.js'
import { type RunningDaemon, settingsFolder } from '../../support/settings-fixture.js'
import { dashboardOf, hasBrowser, openPage, picture, startDashboard, withBrowser } from './browser.js'

const SHARDS = 256
const WORKERS = ['worker-1@a', 'worker-2@b', 'worker-3@c', 'worker-4@d']

describe.skipIf(!hasBrowser)('the map of the cluster', () => {
  const folder = settingsFolder()
  let running: RunningDaemon
  withBrowser()

  beforeAll(async () => {
    running = await startDashboard(folder.path)
  })
  afterAll(async () => {
    await running?.stop()
    folder.remove()
  })

  /** What the page is told of the cluster, from now on. */
  async function tell(
    page: Page,
    workers: readonly string[],
    ownerOf: (shard: number) => string | null,
  ): Promise<void> {
    const nodes = [
      ...workers.map((id) => node(id, 'worker')),
      node('edge-1@e', 'edge'),
      node('coordinator-1@f', 'coordinator'),
    ]
    const shards = Array.from({ length: SHARDS }, (_, index) => shard(index, ownerOf(index)))
    await page.unrouteAll()
    await page.route('**/api/cluster', (route) =>
      route.fulfill({ json: { shardCount: SHARDS, leader: 'coordinator-1@f', nodes } }),
    )
    await page.route('**/api/cluster/shards', (route) => route.fulfill({ json: { shards } }))
    await page.route('**/api/cluster/moves**', (route) => route.fulfill({ json: { moves: [] } }))
  }

  const spread = (index: number): string => WORKERS[(index * 7) % WORKERS.length] ?? ''
  const withoutLast = (index: number): string =>
    spread(index) === 'worker-4@d' ? (WORKERS[index % 3] ?? '') : spread(index)
  const moves = (page: Page) => page.getByRole('region', { name: 'Moves, newest first' }).getByRole('listitem')

  async function opened(): Promise<Page> {
    const { page } = await openPage('about:blank')
    await tell(page, WORKERS, spread)
    await page.goto(`${dashboardOf(running)}#/cluster`)
    await page.getByRole('img', { name: '256 shards on 4 workers, all owned' }).waitFor()
    return page
  }

  test('shows what moves when it moves, and says so once', async () => {
    const page = await opened()
    await page.getByText('Nothing has moved yet').waitFor()

    await tell(page, WORKERS.slice(0, 3), withoutLast)

    await page.getByRole('img', { name: '256 shards on 3 workers, all owned' }).waitFor()
    const told = await moves(page).allTextContents()
    expect(told.some((text) => text.includes('worker-4 left'))).toBe(true)
    expect(told.filter((text) => /\d+ shards: worker-4 → worker-/.test(text)).length).toBeGreaterThan(0)
    await picture(page, 'cluster-moves-light')
    await page.waitForFunction(() =>
      /worker|shards/.test(document.querySelector('[aria-live=polite]')?.textContent ?? ''),
    )
  })

  test('lets the shards of one worker stand out', async () => {
    const page = await opened()
    const button = page.getByRole('button', { name: 'worker-2' })

    await button.click()

    expect(await button.getAttribute('aria-pressed')).toBe('true')
    expect(await page.locator('.cell[opacity="1"]').count()).toBe(1)
    await button.click()
    expect(await page.locator('.cell[opacity="1"]').count()).toBe(WORKERS.length)
  })

  test('names shards without an owner', async () => {
    const page = await opened()

    await tell(page, WORKERS, (index) => (index < 5 ? null : spread(index)))

    await page.getByRole('img', { name: '256 shards on 4 workers, 5 without an owner' }).waitFor()
    expect(await page.locator('.figure-bad').textContent()).toContain('5')
  })
})

const node = (id: string, role: string): ClusterNode => ({
  ...{ id, role, version: '2.0.0', status: 'live', weight: 1, lagMs: 2, shards: 64, share: 0.25 },
  load: { busy: role === 'coordinator' ? 0 : 12, capacity: role === 'coordinator' ? 0 : 100, queued: 3 },
})

const shard = (index: number, owner: string | null): ClusterShard => ({
  ...{ shard: index, owner, epoch: 3, state: owner === null ? 'released' : 'assigned', changedAt: null },
  load: index % 3 === 0 ? { running: index % 5, queued: index % 11, perSecond: index % 17 } : null,
})
