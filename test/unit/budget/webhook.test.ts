/**
 * Alerts by webhook: signed, repeated, and bounded.
 */
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { alertOf, thresholdsWith } from '../../../src/budget/alerts.js'
import { chatBody } from '../../../src/budget/chat-text.js'
import { windowOf } from '../../../src/budget/periods.js'
import { Webhook, type WebhookOptions } from '../../../src/budget/webhook.js'

const WINDOW = windowOf(
  { scope: 'orchestrator', id: 'orch', period: 'daily', tokens: 100 },
  Date.parse('2026-11-27T03:00Z'),
)
const crossing = (threshold: number) => ({ threshold, window: { ...WINDOW, used: threshold + 1, held: 0 } })
const ALERT = alertOf(crossing(75))

async function receiver(answers: readonly number[], more: Partial<WebhookOptions> = {}) {
  const secret = 'shh'
  const heard: { body: string; headers: IncomingHttpHeaders }[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    heard.push({ body, headers: request.headers })
    response.writeHead(answers[heard.length - 1] ?? 204, { location: '/elsewhere' }).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const outcomes: string[] = []
  const { port } = server.address() as AddressInfo
  const options = { url: `http://127.0.0.1:${port}/hook`, setting: 'HOOK', secret, firstPauseMs: 2, ...more }
  const webhook = new Webhook({ ...options, onOutcome: (it) => outcomes.push(it), onError: () => undefined })
  onTestFinished(async () => {
    await webhook.stop()
    server.close()
  })
  return { webhook, heard, outcomes }
}

test('B-09: an alert names the budget, how much of it is used, and when it begins anew', () => {
  expect(ALERT).toEqual({
    ...{ alert: 'threshold:75', level: 'warning', scope: 'orchestrator', id: 'orch', period: 'daily', threshold: 75 },
    ...{ used: 76, limit: 100, since: '2026-11-27T00:00:00.000Z', resetsAt: '2026-11-28T00:00:00.000Z' },
  })
  expect(alertOf(crossing(100))).toMatchObject({ alert: 'budget:exceeded', level: 'emergency' })
  expect(thresholdsWith(0.8)).toEqual([50, 75, 80, 90, 100])
  expect(thresholdsWith(0.9)).toEqual([50, 75, 90, 100])
})

test('the receiver can check who speaks and when', async () => {
  const { webhook, heard, outcomes } = await receiver([])
  webhook.send('acme', ALERT)
  await vi.waitFor(() => expect(outcomes).toEqual(['delivered']))

  const [{ body, headers }] = heard as [(typeof heard)[0]]
  const timestamp = String(headers['x-budget-timestamp'])
  const mac = createHmac('sha256', 'shh').update(`${timestamp}.${body}`).digest('hex')
  expect(headers['x-budget-signature']).toBe(`sha256=${mac}`)
  expect(Math.abs(Number(timestamp) - Date.now() / 1_000)).toBeLessThan(60)
  expect(JSON.parse(body)).toMatchObject({ type: 'budget_alert', tenant: 'acme', data: ALERT })
})

test('an alert that was not heard is told again under the same id, and in its turn', async () => {
  const { webhook, heard, outcomes } = await receiver([500, 503, 302, 200, 200])
  webhook.send('acme', ALERT)
  webhook.send('acme', { ...ALERT, threshold: 90 })
  await vi.waitFor(() => expect(outcomes).toEqual(['delivered', 'delivered']))

  const ids = heard.map(({ body }) => (JSON.parse(body) as { id: string }).id)
  expect(new Set(ids.slice(0, 4)).size).toBe(1)
  expect(ids[4]).not.toBe(ids[0])
})

test('after six attempts it is given up', async () => {
  const { webhook, heard, outcomes } = await receiver(Array.from({ length: 20 }, () => 500))
  webhook.send('acme', ALERT)
  await vi.waitFor(() => expect(outcomes).toEqual(['failed']), { timeout: 20_000 })
  expect(heard).toHaveLength(6)
})

test('no more than a thousand alerts wait', async () => {
  const { webhook, outcomes } = await receiver([])
  for (let i = 0; i < 1_003; i++) webhook.send('acme', ALERT)
  expect(outcomes.filter((it) => it === 'dropped')).toHaveLength(2)
})

const textOf = (tenant: string, alert: typeof ALERT): string =>
  (JSON.parse(chatBody(tenant, alert)) as { text: string }).text

test('for a chat an alert is one sentence in the field that Slack and Mattermost read', async () => {
  const { webhook, heard, outcomes } = await receiver([], { secret: undefined, bodyOf: chatBody })
  webhook.send('acme', ALERT)
  await vi.waitFor(() => expect(outcomes).toEqual(['delivered']))

  expect(heard.map(({ body }) => JSON.parse(body))).toEqual([
    {
      text:
        ':warning: 76 % of the daily token budget of orchestrator `orch` of tenant `acme` is used: 76 of 100 tokens. ' +
        'It begins anew at 2026-11-28 00:00 UTC.',
    },
  ])
  expect(heard[0]?.headers['x-budget-signature']).toBeUndefined()
})

test('a chat hears that a budget is used up, of a session for good', () => {
  const session = { scope: 'session', id: 'session_1', period: 'session', resetsAt: null } as const
  const used = { used: 2_000_100, limit: 2_000_000, alert: 'budget:exceeded', level: 'emergency' } as const

  expect(textOf('acme', { ...ALERT, ...session, ...used })).toBe(
    ':no_entry: The token budget of session `session_1` of tenant `acme` is used up: 2,000,100 of 2,000,000 tokens.',
  )
  expect(textOf('acme', { ...ALERT, scope: 'tenant', id: 'acme' })).toContain('token budget of tenant `acme` is used')
})

test('a name that clients choose calls nobody and becomes no link in a chat', () => {
  const text = textOf('acme', { ...ALERT, id: '`<!channel> @all <http://evil|click> & \n**x**' })

  expect(text).not.toMatch(/[<>\n]/)
  expect(text.match(/`/g)).toHaveLength(4)
  expect(text).toContain("`'&lt;!channel&gt; @all &lt;http://evil|click&gt; &amp; **x**`")
  expect(textOf('acme', { ...ALERT, id: 'x'.repeat(5_000) }).length).toBeLessThan(400)
})
