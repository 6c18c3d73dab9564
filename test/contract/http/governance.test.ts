/**
 * Budgets, usage, memory and the charter over HTTP (row H-04): for whom, and nobody else.
 */
import { beforeAll, expect, test } from 'vitest'
import { BudgetLedger } from '../../../src/storage/budget-ledger.js'
import type { NewMemory } from '../../../src/storage/memory-item.js'
import { MemoryItems } from '../../../src/storage/memory-items.js'
import { allPages, type House, openHouse, type Requester } from './http-fixture.js'

let house: House
let admin: Requester
let alice: Requester
beforeAll(async () => {
  house = await openHouse({ TOKEN_BUDGET_DAILY: '50000' })
  admin = await house.as('root', 'acme', 'admin')
  alice = await house.as('alice', 'acme', 'user')
})

const calls = (sessionId: string, hours: number, count: number) =>
  Array.from({ length: count }, (_, n) => ({
    ...{ stepId: `${sessionId}:${hours}:${n}`, at: new Date(Date.now() - hours * 3_600_000), tenant: 'acme' },
    ...{ orchestratorId: 'planner', sessionId, model: n % 2 === 0 ? 'small' : 'large', tools: ['bash_execute'] },
    ...{ promptTokens: 100, cachedTokens: 0, completionTokens: 50, cost: 0.01 },
  }))

test('usage is told by time and by what it was for, and a user asks about its own session', async () => {
  const sessionId = await alice.spawn({ orchestratorId: 'planner' })
  await new BudgetLedger(house.database).add([...calls(sessionId, 1, 4), ...calls(sessionId, 50, 2)])

  const report = await admin.get('/api/usage?groupBy=model,tool&granularity=daily')
  const own = await alice.get(`/api/usage?sessionId=${sessionId}&granularity=hourly&anomalies=true`)
  const span = new URLSearchParams({
    from: new Date(Date.now() - 2 * 3_600_000).toISOString(),
    orchestratorId: 'planner',
  })

  expect(report.body.summary).toMatchObject({ calls: 6, tokens: 900 })
  expect(new Set(report.body.breakdown.map(({ model }: { model: string }) => model))).toEqual(
    new Set(['small', 'large']),
  )
  expect(own.body).toMatchObject({ summary: { calls: 6 }, anomalies: [] })
  expect((await admin.get(`/api/usage?${span}`)).body.summary.calls).toBe(4)
  expect(await alice.get('/api/usage')).toMatchObject({ status: 422 })
  expect(await (await house.as('bob', 'acme', 'user')).get(`/api/usage?sessionId=${sessionId}`)).toMatchObject({
    status: 404,
  })
  expect(await admin.get('/api/usage?from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z')).toMatchObject({ status: 422 })
})

test('budgets are told with what is used of them', async () => {
  const sessionId = await alice.spawn({ orchestratorId: 'writer' })

  const [ofTenant, ofSession] = [
    await admin.get('/api/budgets'),
    await alice.get(`/api/budgets?sessionId=${sessionId}`),
  ]

  expect(ofTenant.body.budgets).toEqual(
    expect.arrayContaining([expect.objectContaining({ scope: 'tenant', id: 'acme', period: 'daily', limit: 50_000 })]),
  )
  expect(ofSession.body.budgets).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ scope: 'orchestrator', id: 'writer', used: 0, status: 'healthy' }),
      expect.objectContaining({ scope: 'session', id: sessionId, period: 'session' }),
    ]),
  )
  expect(await alice.get('/api/budgets')).toMatchObject({ status: 422 })
})

const memory = (content: string, tier: NewMemory['tier'] = 'semantic'): NewMemory => ({
  ...{ tier, kind: 'knowledge', namespace: 'default', identity: `fact:${content}`, content, tags: ['t'] },
  ...{ metadata: { from: 'test' }, orchestratorId: 'planner', validFrom: new Date() },
})

test('memory is listed page by page, and found by what it says', async () => {
  const scope = { tenant: 'acme', owner: 'mia' }
  const mia = await house.as('mia', 'acme', 'user')
  const facts = ['The deploy key is rotated monthly', 'Backups run at night', 'The office is in Vienna']
  await new MemoryItems(house.database).put(scope, [
    ...facts.map((fact) => memory(fact)),
    memory('It rained', 'episodic'),
  ])

  const listed = await allPages<{ content: string }>(mia, '/api/memory?limit=2&tier=semantic', 'memories')
  const found = await mia.get(`/api/memory/search?q=${encodeURIComponent('when are backups made')}`)

  expect(listed.map(({ content }) => content).sort()).toEqual([...facts].sort())
  expect(found.body.memories[0]).toMatchObject({
    content: 'Backups run at night',
    tier: 'semantic',
    score: expect.any(Number),
  })
  expect((await mia.get('/api/memory/search?q=vienna&tier=episodic')).body.memories).toEqual([])
  expect((await mia.get('/api/memory')).body.memories).toHaveLength(4)
})

test('what was remembered last is listed first, and what is remembered meanwhile moves no page', async () => {
  const scope = { tenant: 'acme', owner: 'nora' }
  const nora = await house.as('nora', 'acme', 'user')
  const items = new MemoryItems(house.database)
  const remember = async (...facts: string[]) => {
    for (const fact of facts) {
      await items.put(scope, [memory(fact)])
      // Ids rise with the time, in milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
  }
  await remember('one', 'two', 'three', 'four', 'five')
  const page = async (query: string) => (await nora.get(`/api/memory?limit=2${query}`)).body
  const words = ({ memories }: { memories: { content: string }[] }) => memories.map(({ content }) => content)

  const first = await page('')
  await remember('six')
  const second = await page(`&cursor=${first.cursor}`)
  const third = await page(`&cursor=${second.cursor}`)

  expect([words(first), words(second), words(third)]).toEqual([['five', 'four'], ['three', 'two'], ['one']])
  expect(third.cursor).toBeUndefined()
  expect(words(await page(''))).toEqual(['six', 'five'])
  const oldest = await allPages<{ content: string }>(nora, '/api/memory?limit=2&order=oldest', 'memories')
  expect(oldest.map(({ content }) => content)).toEqual(['one', 'two', 'three', 'four', 'five', 'six'])
  expect(await nora.get('/api/memory?order=best')).toMatchObject({ status: 422 })
})

test('who sees the whole tenant may look into the memory of another, and nobody else', async () => {
  const bob = await house.as('bob', 'acme', 'user')

  expect((await admin.get('/api/memory')).body.memories).toEqual([])
  expect((await admin.get('/api/memory?owner=mia')).body.memories).toHaveLength(4)
  expect((await bob.get('/api/memory')).body.memories).toEqual([])
  expect(await bob.get('/api/memory?owner=mia')).toMatchObject({ status: 403, body: { code: 'forbidden' } })
  expect(await bob.get('/api/memory/search?q=backups&owner=mia')).toMatchObject({ status: 403 })
  const stranger = await house.as('root', 'umbrella', 'admin')
  expect((await stranger.get('/api/memory?owner=mia')).body.memories).toEqual([])
})

test('the charter in effect is shown', async () => {
  const { body } = await alice.get('/api/charter')

  expect(body.charter).toMatchObject({ safetyHeuristics: { alwaysReject: expect.any(Array) }, resourceLimits: {} })
})
