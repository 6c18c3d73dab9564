/**
 * Budgets in one process: written as in the environment, seen by a client, the operator's server and the page of metrics.
 */
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, vi } from 'vitest'
import { type CountingVendor, countingVendor } from '../support/counting-vendor.js'
import {
  effect,
  type Frame,
  PATIENCE,
  RawClient,
  type RunningDaemon,
  settingsFolder,
  startWith,
} from '../support/settings-fixture.js'

// One after the other in one folder: what was used with one daemon, the next one knows.
const folder = settingsFolder()
let vendor: CountingVendor
beforeAll(async () => {
  vendor = await countingVendor(60, 40)
})
afterAll(() => {
  vendor.stop()
  folder.remove()
})

interface Run {
  readonly running: RunningDaemon
  readonly client: RawClient
  readonly sessionId: string
  /** The end of one more task. */
  task(): Promise<Frame>
  alerts(): Frame[]
}

/** Starts a daemon and a session of a new orchestrator, whose first task has ended. */
async function start(
  orchestratorId: string,
  env: Readonly<Record<string, string>>,
): Promise<Run & { readonly first: Frame }> {
  const vendorEnv = { OPENAI_BASE_URL: vendor.url, OPENAI_MODEL: 'gpt-4.1' }
  const running = await startWith(folder.path, { ...vendorEnv, ...env })
  const client = await RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`)
  onTestFinished(async () => {
    client.close()
    await running.stop()
  })
  const ends = () => client.frames.filter(({ type }) => type === 'task_completed' || type === 'task_failed')
  const end = async (which: number) => vi.waitUntil(() => ends()[which], PATIENCE)
  client.send({ type: 'spawn_session', payload: { orchestratorId, task: 'say a word', sessionType: 'llm' } })
  const first = await end(0)
  const sessionId = String(first.sessionId)
  const task = async (): Promise<Frame> => {
    const count = ends().length
    client.send({ type: 'execute_task', payload: { sessionId, task: 'and another' } })
    return end(count)
  }
  const alerts = () => client.frames.filter(({ type }) => type === 'budget_alert')
  return { running, client, sessionId, first, task, alerts }
}

const thresholdsOf = (frames: readonly Frame[], scope: string) =>
  frames.flatMap(({ data }) => ((data as Frame).scope === scope ? [(data as Frame).threshold] : []))

async function operator(): Promise<{
  readonly url: string
  readonly heard: { body: string; headers: IncomingHttpHeaders }[]
}> {
  const heard: { body: string; headers: IncomingHttpHeaders }[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    heard.push({ body, headers: request.headers })
    response.writeHead(204).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, heard }
}

effect(
  ['TOKEN_BUDGET_DAILY', 'TOKEN_BUDGET_ALERT_THRESHOLD', 'TOKEN_BUDGET_WEBHOOK_URL', 'TOKEN_BUDGET_WEBHOOK_SECRET'],
  'W-67, B-02, B-03: calls are made while anything is left, each threshold is told once, and then tasks fail until tomorrow',
  async () => {
    const server = await operator()
    const run = await start('daily', {
      TOKEN_BUDGET_DAILY: '150',
      TOKEN_BUDGET_ALERT_THRESHOLD: '0.6',
      TOKEN_BUDGET_WEBHOOK_URL: server.url,
      TOKEN_BUDGET_WEBHOOK_SECRET: 'secret of this test',
    })
    expect(run.first.type).toBe('task_completed')
    await vi.waitFor(() => expect(thresholdsOf(run.alerts(), 'orchestrator')).toEqual([50, 60]), PATIENCE)

    expect((await run.task()).type).toBe('task_completed')
    const before = vendor.calls
    const failed = await run.task()

    expect(failed).toMatchObject({
      type: 'task_failed',
      code: 'budget_exceeded',
      resetsAt: expect.stringMatching(/T00:00:00.000Z$/),
    })
    expect(failed.error).toMatch(
      /^Token budget exceeded for period: 200 of 150 tokens of the daily budget of orchestrator daily/,
    )
    expect(vendor.calls).toBe(before)
    const all = [50, 60, 75, 90, 100]
    await vi.waitFor(() => expect(thresholdsOf(run.alerts(), 'orchestrator')).toEqual(all), PATIENCE)
    await vi.waitFor(
      () => expect(server.heard.filter(({ body }) => body.includes('"orchestrator"'))).toHaveLength(5),
      PATIENCE,
    )
    for (const { body, headers } of server.heard) {
      const mac = createHmac('sha256', 'secret of this test')
        .update(`${headers['x-budget-timestamp']}.${body}`)
        .digest('hex')
      expect(headers['x-budget-signature']).toBe(`sha256=${mac}`)
    }
  },
)

effect(
  ['TOKEN_BUDGET_WEEKLY', 'TOKEN_BUDGET_MONTHLY'],
  'B-01: the page of metrics shows how much of each is used',
  async () => {
    const { running, task } = await start('shown', { TOKEN_BUDGET_WEEKLY: '1000000', TOKEN_BUDGET_MONTHLY: '2000000' })
    await task()

    const line = (period: string) =>
      `orchestrator_budget_utilization_percent{orchestrator_id="shown",period="${period}"}`
    await vi.waitFor(async () => {
      const page = await (await fetch(`http://127.0.0.1:${running.daemon.metricsPort}/metrics`)).text()
      expect(page).toContain(`${line('daily')} 0.02\n`)
      expect(page).toContain(`${line('weekly')} 0.02\n`)
      expect(page).toContain(`${line('monthly')} 0.01\n`)
    }, PATIENCE)
  },
)

effect(['TOKEN_BUDGET_SESSION'], 'B-08: one session ends its budget, and another one has its own', async () => {
  const run = await start('session', { TOKEN_BUDGET_SESSION: '100' })

  expect(await run.task()).toMatchObject({
    type: 'task_failed',
    error: expect.stringContaining('the whole budget of session'),
  })

  run.client.send({ type: 'spawn_session', payload: { orchestratorId: 'session', task: 'a word', sessionType: 'llm' } })
  const completed = () => run.client.frames.filter(({ type }) => type === 'task_completed')
  await vi.waitUntil(() => completed().length === 2, PATIENCE)
})

for (const period of ['DAILY', 'WEEKLY', 'MONTHLY'] as const) {
  const what = 'counts what other orchestrators of the tenant used, before a restart too'
  const run = async () => {
    const { first } = await start(`tenant ${period}`, { [`TOKEN_BUDGET_TENANT_${period}`]: '200' })
    const budget = `${period.toLowerCase()} budget of tenant local`
    expect(first).toMatchObject({ type: 'task_failed', error: expect.stringContaining(budget) })
  }
  if (period === 'DAILY') effect(['TOKEN_BUDGET_TENANT_DAILY'], what, run)
  else if (period === 'WEEKLY') effect(['TOKEN_BUDGET_TENANT_WEEKLY'], what, run)
  else effect(['TOKEN_BUDGET_TENANT_MONTHLY'], what, run)
}

effect(['TOKEN_BUDGET_ALERTS_ENABLED'], 'without alerts the budget holds in silence', async () => {
  const run = await start('silent', {
    TOKEN_BUDGET_DAILY: '100',
    TOKEN_BUDGET_ALERTS_ENABLED: 'false',
    TOKEN_BUDGET_TENANT_DAILY: '1000000',
  })

  expect(await run.task()).toMatchObject({ type: 'task_failed', code: 'budget_exceeded' })
  expect(run.alerts()).toEqual([])
})

effect(['TOKEN_PRICES_FILE'], 'tasks cost what the file says', async () => {
  const path = join(folder.path, 'prices.yaml')
  writeFileSync(path, 'asOf: 2026-11-01\nmodels:\n  gpt-4.1: { input: 50000, output: 100000 }\n')

  const { first } = await start('priced', { TOKEN_PRICES_FILE: path })

  expect(first).toMatchObject({ type: 'task_completed', usage: { promptTokens: 60, completionTokens: 40, cost: 7 } })
})

effect(['TOKEN_BUDGET_CHAT_URL'], 'people read in their chat what is used', async () => {
  const server = await operator()

  await start('chatty', { TOKEN_BUDGET_SESSION: '150', TOKEN_BUDGET_CHAT_URL: server.url })

  const text = () => server.heard.map(({ body }) => String((JSON.parse(body) as Frame).text)).join('\n')
  await vi.waitFor(() => expect(text()).toContain('66 % of the token budget of session `session_'), PATIENCE)
})
