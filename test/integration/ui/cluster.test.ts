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

  /** What pages are told of the cluster, from now on. */
  let told: { readonly nodes: readonly ClusterNode[]; readonly shards: readonly ClusterShard[] }
  function tell(workers: readonly string[], ownerOf: (shard: number) => string | null): void {
    const nodes = [
      ...workers.map((id) => node(id, 'worker')),
      node('edge-1@e', 'edge'),
      node('coordinator-1@f', 'coordinator'),
    ]
    told = { nodes, shards: Array.from({ length: SHARDS }, (_, index) => shard(index, ownerOf(index))) }
  }

  const spread = (index: number): string => WORKERS[(index * 7) % WORKERS.length] ?? ''
  const withoutLast = (index: number): string =>
    spread(index) === 'worker-4@d' ? (WORKERS[index % 3] ?? '') : spread(index)
  const moves = (page: Page) => page.getByRole('region', { name: 'Moves, newest first' }).getByRole('listitem')

  async function opened(): Promise<Page> {
    const { page } = await openPage('about:blank')
    tell(WORKERS, spread)
    await page.route('**/api/cluster', (route) =>
      route.fulfill({ json: { shardCount: SHARDS, leader: 'coordinator-1@f', nodes: told.nodes } }),
    )
    await page.route('**/api/cluster/shards', (route) => route.fulfill({ json: { shards: told.shards } }))
    await page.route('**/api/cluster/moves**', (route) => route.fulfill({ json: { moves: [] } }))
    await page.goto(`${dashboardOf(running)}#/cluster`)
    await page.getByRole('img', { name: '256 shards on 4 workers, all owned' }).waitFor()
    return page
  }

  test('shows what moves when it moves, and says so once', async () => {
    const page = await opened()
    await page.getByText('Nothing has moved yet').waitFor()

    tell(WORKERS.slice(0, 3), withoutLast)

    await page.getByRole('img', { name: '256 shards on 3 workers, all owned' }).waitFor()
    await moves(page).filter({ hasText: 'worker-4 left' }).waitFor()
    await moves(page)
      .filter({ hasText: /\d+ shards: worker-4 → worker-/ })
      .first()
      .waitFor()
    await picture(page, 'cluster-moves-light')
    await page.waitForFunction(() =>
      /worker|shards/.test(document.querySelector('[aria-live=polite]')?.textContent ?? ''),
    )
  })

  test('lets the shards of one worker stand out', async () => {
    const page = await opened()
    const button = page.getByRole('button', { name: 'worker-2' })

    await button.click()

    const bright = () => page.locator('.cell[opacity="1"]').count()
    await expect.poll(() => button.getAttribute('aria-pressed')).toBe('true')
    await expect.poll(bright).toBe(1)
    await button.click()
    await expect.poll(bright).toBe(WORKERS.length)
  })

  test('names shards without an owner', async () => {
    const page = await opened()

    tell(WORKERS, (index) => (index < 5 ? null : spread(index)))

    await page.getByRole('img', { name: '256 shards on 4 workers, 5 without an owner' }).waitFor()
    await page.locator('.figure-bad').filter({ hasText: '5' }).waitFor()
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
