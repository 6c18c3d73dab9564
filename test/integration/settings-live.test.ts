/**
 * Settings that are live take effect while the daemon runs and its sessions go on.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { SUMMARY_PROMPT } from '../../src/runtimes/compaction-prompt.js'
import { type CountingVendor, countingVendor } from '../support/counting-vendor.js'
import {
  type Frame,
  liveEffect,
  PATIENCE,
  RawClient,
  type RunningDaemon,
  refusingModel,
  settingsFolder,
  startWith,
} from '../support/settings-fixture.js'

const folder = settingsFolder()
afterAll(() => folder.remove())

const KEY = 'k'.repeat(32)
/** Of a client whose messages nobody else's count against. */
const HASTY_KEY = 'h'.repeat(32)
const KEYS = [
  { key: KEY, clientId: 'ci', role: 'admin' },
  { key: HASTY_KEY, clientId: 'hasty', role: 'admin' },
]
const NO_LIMITS = { DAEMON_RATE_LIMIT_ENABLED: 'false' }
const WORDS = 'word '.repeat(700)

const isEnd = ({ type }: Frame): boolean => type === 'task_completed' || type === 'task_failed'

/** A session that takes one task after the other. */
class Tasks {
  #ended = 0
  #sessionId: unknown

  constructor(
    readonly client: RawClient,
    readonly orchestratorId: string,
  ) {}

  /** Resolves with its end. */
  async run(description = 'say a word'): Promise<Frame> {
    const { client, orchestratorId } = this
    const task = { description }
    if (this.#sessionId === undefined) {
      client.send({ type: 'spawn_session', payload: { orchestratorId, task, sessionType: 'llm' } })
    } else {
      client.send({ type: 'execute_task', payload: { sessionId: this.#sessionId, task } })
    }
    const end = await vi.waitUntil(() => client.frames.filter(isEnd)[this.#ended], PATIENCE)
    this.#ended += 1
    this.#sessionId = end.sessionId
    return end
  }

  thresholds(scope: string): unknown[] {
    return this.client.frames.flatMap(({ type, data }) =>
      type === 'budget_alert' && (data as Frame).scope === scope ? [(data as Frame).threshold] : [],
    )
  }
}

describe('a daemon whose settings change', () => {
  let vendor: CountingVendor
  let running: RunningDaemon
  const clients: RawClient[] = []

  beforeAll(async () => {
    vendor = await countingVendor(60, 40)
    running = await startWith(folder.path, {
      ...NO_LIMITS,
      DAEMON_AUTH_API_KEYS: JSON.stringify(KEYS),
      DAEMON_AUTH_MAX_CONNECTIONS: '100',
      OPENAI_BASE_URL: vendor.url,
      OPENAI_MODEL: 'gpt-4.1',
      MEMORY_COMPACTION_ENABLED: 'false',
      SHARD_COUNT: '4',
    })
  })

  beforeEach(async () => {
    await running.reload({})
  })

  afterAll(async () => {
    for (const client of clients) client.close()
    await running.stop()
    vendor.stop()
  })

  async function enter(key = KEY): Promise<RawClient> {
    const client = await RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`, { 'x-api-key': key })
    clients.push(client)
    return client
  }

  const session = async (orchestratorId: string): Promise<Tasks> => {
    const tasks = new Tasks(await enter(), orchestratorId)
    await tasks.run()
    return tasks
  }

  const saysAt = (level: 'debug' | 'info', words: string): boolean => {
    running.log[level]({}, words)
    return running.lines.some((line) => line.includes(words))
  }

  liveEffect(['LOG_LEVEL'], 'less is logged from then on, and then more', async () => {
    await running.reload({ LOG_LEVEL: 'error' })
    expect(saysAt('info', 'while it is quiet')).toBe(false)

    await running.reload({ LOG_LEVEL: 'debug' })
    expect(saysAt('debug', 'while it is loud')).toBe(true)
  })

  liveEffect(['DEBUG', 'DAEMON_VERBOSE'], 'either logs everything until it is taken back', async () => {
    for (const name of ['DEBUG', 'DAEMON_VERBOSE']) {
      await running.reload({ [name]: 'true' })
      expect(saysAt('debug', `with ${name}`)).toBe(true)
      await running.reload({})
      expect(saysAt('debug', `after ${name}`)).toBe(false)
    }
  })

  test('a level that an operator has turned stays when other settings change', async () => {
    await fetch(`http://127.0.0.1:${running.daemon.metricsPort}/loglevel`, {
      method: 'POST',
      body: '{"level":"debug"}',
    })
    await running.reload({ OPENAI_MODEL: 'another' })

    expect(saysAt('debug', 'as the operator wants it')).toBe(true)
    await fetch(`http://127.0.0.1:${running.daemon.metricsPort}/loglevel`, { method: 'POST', body: '{"reset":true}' })
  })

  liveEffect(['DAEMON_MAX_SESSIONS'], 'a task that waits for room begins when there is more', async () => {
    const client = await enter()
    const task = (count: number) => ({ description: JSON.stringify({ count, bytes: 8, delayMs: 50 }) })
    const ends = () => client.frames.filter(isEnd)
    for (const session of [1, 2]) {
      client.send({ type: 'spawn_session', payload: { orchestratorId: 'o', task: task(1), sessionType: 'echo' } })
      await vi.waitUntil(() => ends().length === session, PATIENCE)
    }
    const [busy, waits] = ends().map(({ sessionId }) => sessionId)
    await running.reload({ DAEMON_MAX_SESSIONS: '1' })
    const before = client.frames.length
    client.send({ type: 'execute_task', payload: { sessionId: busy, task: task(1_000) } })
    await vi.waitUntil(() => client.frames.slice(before).some(({ type }) => type === 'stream_chunk'), PATIENCE)
    client.send({ type: 'execute_task', payload: { sessionId: waits, task: task(1) } })
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(ends()).toHaveLength(2)

    await running.reload({ DAEMON_MAX_SESSIONS: '2' })

    expect(await vi.waitUntil(() => ends()[2], PATIENCE)).toMatchObject({ type: 'task_completed', sessionId: waits })
    client.send({ type: 'stop_session', payload: { sessionId: busy } })
  })

  liveEffect(
    ['DAEMON_RATE_LIMIT_ENABLED', 'DAEMON_RATE_LIMIT_MAX', 'DAEMON_RATE_LIMIT_WINDOW'],
    'a client that is connected is limited, less, not at all, and for a moment only',
    async () => {
      const client = await enter()
      const hasty = await enter(HASTY_KEY)
      const refused = (who = client) => who.frames.filter(({ error }) => error === 'rate_limit_exceeded').length
      const pongs = (who = client) => who.frames.filter(({ type }) => type === 'pong').length
      const send = async (count: number, who = client) => {
        const before = refused(who) + pongs(who)
        for (let message = 0; message < count; message++) who.send({ type: 'ping' })
        await vi.waitUntil(() => refused(who) + pongs(who) === before + count, PATIENCE)
      }
      await send(10)
      expect(refused()).toBe(0)

      await running.reload({ DAEMON_RATE_LIMIT_ENABLED: 'true', DAEMON_RATE_LIMIT_MAX: '5' })
      await send(8)
      expect(refused()).toBe(3)
      await running.reload({ DAEMON_RATE_LIMIT_ENABLED: 'true', DAEMON_RATE_LIMIT_MAX: '20' })
      await send(8)
      expect(refused(), 'what was sent in the window counts').toBe(3)

      await running.reload({})
      await send(50)
      expect(refused()).toBe(3)
      const short = { DAEMON_RATE_LIMIT_MAX: '3', DAEMON_RATE_LIMIT_WINDOW: '1000' }
      await running.reload({ DAEMON_RATE_LIMIT_ENABLED: 'true', ...short })
      await send(5, hasty)
      expect(refused(hasty)).toBe(2)
      await new Promise((resolve) => setTimeout(resolve, 1_500))
      await send(1, hasty)
      expect(refused(hasty), 'the window of a second is over').toBe(2)
    },
  )

  liveEffect(['DAEMON_AUTH_MAX_CONNECTIONS'], 'one more is refused, and those that are there stay', async () => {
    const client = await enter()
    await running.reload({ DAEMON_AUTH_MAX_CONNECTIONS: '1' })
    await expect(enter()).rejects.toThrow('429')
    expect(await client.ask({ type: 'ping' }, 'pong')).toMatchObject({ type: 'pong' })

    await running.reload({})
    await enter()
  })

  liveEffect(['OPENAI_MODEL'], 'the next call of a session that names none asks the other one', async () => {
    const tasks = await session('model')
    await running.reload({ OPENAI_MODEL: 'gpt-4o' })
    await tasks.run()

    expect(vendor.requests.slice(-2).map(({ model }) => model)).toEqual(['gpt-4.1', 'gpt-4o'])
  })

  liveEffect(['TOKEN_BUDGET_SESSION'], 'a session is at its end, and goes on with more', async () => {
    const tasks = await session('session budget')
    await running.reload({ TOKEN_BUDGET_SESSION: '100' })
    expect(await tasks.run()).toMatchObject({ code: 'budget_exceeded', error: expect.stringContaining('session') })

    await running.reload({})
    expect(await tasks.run()).toMatchObject({ type: 'task_completed' })
  })

  liveEffect(
    ['TOKEN_BUDGET_DAILY', 'TOKEN_BUDGET_TENANT_DAILY'],
    'the day of an orchestrator, or of the tenant, is over, and is not',
    async () => {
      const tasks = await session('daily')
      for (const name of ['TOKEN_BUDGET_DAILY', 'TOKEN_BUDGET_TENANT_DAILY']) {
        await running.reload({ [name]: '100' })
        expect(await tasks.run(), name).toMatchObject({ code: 'budget_exceeded' })
        await running.reload({})
        expect(await tasks.run(), name).toMatchObject({ type: 'task_completed' })
      }
    },
  )

  liveEffect(
    ['TOKEN_BUDGET_WEEKLY', 'TOKEN_BUDGET_MONTHLY', 'TOKEN_BUDGET_TENANT_WEEKLY', 'TOKEN_BUDGET_TENANT_MONTHLY'],
    'calls count against the new limits, which the desk shows',
    async () => {
      await session('long')
      await running.reload({
        TOKEN_BUDGET_WEEKLY: '6000001',
        TOKEN_BUDGET_MONTHLY: '30000001',
        TOKEN_BUDGET_TENANT_WEEKLY: '7000001',
        TOKEN_BUDGET_TENANT_MONTHLY: '40000001',
      })

      const uses = (await running.daemon.budgets?.uses({ tenant: 'ci', orchestratorId: 'long' })) ?? []

      const limitOf = (scope: string, period: string) =>
        uses.find((use) => use.scope === scope && use.period === period)?.limit
      expect(limitOf('orchestrator', 'weekly')).toBe(6_000_001)
      expect(limitOf('orchestrator', 'monthly')).toBe(30_000_001)
      expect(limitOf('tenant', 'weekly')).toBe(7_000_001)
      expect(limitOf('tenant', 'monthly')).toBe(40_000_001)
    },
  )

  liveEffect(
    ['TOKEN_BUDGET_ALERT_THRESHOLD', 'TOKEN_BUDGET_ALERTS_ENABLED'],
    'clients are told at the new threshold, then nothing, then again',
    async () => {
      const tasks = await session('alerts')
      const thousand = { TOKEN_BUDGET_DAILY: '1000', TOKEN_BUDGET_TENANT_DAILY: '1000000' }
      await running.reload({ ...thousand, TOKEN_BUDGET_ALERT_THRESHOLD: '0.3' })
      for (let task = 2; task <= 3; task++) await tasks.run()
      await vi.waitFor(() => expect(tasks.thresholds('orchestrator')).toEqual([30]), PATIENCE)

      await running.reload({ ...thousand, TOKEN_BUDGET_ALERTS_ENABLED: 'false' })
      for (let task = 4; task <= 6; task++) await tasks.run()
      await running.reload({ ...thousand, TOKEN_BUDGET_ALERT_THRESHOLD: '0.7' })
      await tasks.run()

      await vi.waitFor(() => expect(tasks.thresholds('orchestrator')).toEqual([30, 70]), PATIENCE)
    },
  )

  liveEffect(['TOKEN_PRICES_FILE'], 'tasks cost what the file says, and what it says later', async () => {
    const file = join(folder.path, 'prices.yaml')
    const price = (input: number) => `asOf: 2026-11-01\nmodels:\n  gpt-4.1: { input: ${input}, output: 100000 }\n`
    const costOf = ({ usage }: Frame) => (usage as Frame).cost
    const tasks = await session('prices')

    writeFileSync(file, price(50_000))
    await running.reload({ TOKEN_PRICES_FILE: file })
    const first = await tasks.run()
    writeFileSync(file, price(0))
    const reloaded = await running.reload({ TOKEN_PRICES_FILE: file })
    const second = await tasks.run()

    expect(reloaded).toEqual({ refused: undefined, changed: ['TOKEN_PRICES_FILE'], waiting: [] })
    expect([costOf(first), costOf(second)]).toEqual([7, 4])
  })

  liveEffect(
    ['DAEMON_MAX_CONTEXT_TOKENS', 'MEMORY_COMPACTION_ENABLED', 'MEMORY_COMPACTION_THRESHOLD'],
    'the next call sends less, or sums up what was said',
    async () => {
      const tasks = await session('context')
      for (let task = 0; task < 5; task++) await tasks.run(`task ${task} ${WORDS}`)
      const sizeOf = (request: unknown) => JSON.stringify((request as Frame).messages).length
      const wide = sizeOf(vendor.requests.at(-1))
      await running.reload({ DAEMON_MAX_CONTEXT_TOKENS: '4000' })
      await tasks.run(`narrow ${WORDS}`)
      const narrow = sizeOf(vendor.requests.at(-1))
      expect([wide > 5 * WORDS.length, narrow < 3.5 * WORDS.length]).toEqual([true, true])

      const summaries = () => vendor.requests.filter((each) => JSON.stringify(each).includes(SUMMARY_START)).length
      const summing = { MEMORY_COMPACTION_ENABLED: 'true', DAEMON_MAX_CONTEXT_TOKENS: '20000' }
      await running.reload({ ...summing, MEMORY_COMPACTION_THRESHOLD: '1' })
      await tasks.run(`full ${WORDS}`)
      expect(summaries()).toBe(0)
      await running.reload({ ...summing, MEMORY_COMPACTION_THRESHOLD: '0.2' })
      await tasks.run(`summed up ${WORDS}`)
      expect(summaries()).toBeGreaterThan(0)
    },
  )

  liveEffect(
    ['SCHEDULE_MAX_WAITING', 'SCHEDULE_MIN_INTERVAL'],
    'what is asked for later is judged by them',
    async () => {
      const client = await enter()
      const ask = async (more: object): Promise<Frame> => {
        const before = client.frames.length
        client.send({ type: 'spawn_session', payload: { task: { description: 'x', ...more } } })
        return vi.waitUntil(
          () => client.frames.slice(before).find(({ type }) => type === 'error' || type === 'task_scheduled'),
          PATIENCE,
        )
      }
      const later = { delayMs: 3_600_000 }
      const every = { repeat: { cron: '*/30 * * * *' } }
      expect((await ask(later)).type).not.toBe('error')
      await running.reload({ SCHEDULE_MAX_WAITING: '1', SCHEDULE_MIN_INTERVAL: '3600000' })

      expect(await ask(later)).toMatchObject({ code: 'schedule_limit' })
      expect(await ask(every)).toMatchObject({ code: 'schedule_invalid' })
      await running.reload({})
      expect((await ask(every)).type).not.toBe('error')
    },
  )

  test('settings that are wrong, or name a file that is, change nothing, and the log says which', async () => {
    const tasks = await session('wrong')
    const missing = join(folder.path, 'missing.yaml')
    const reloaded = await running.reload({ OPENAI_MODEL: 'never', TOKEN_PRICES_FILE: missing })
    await tasks.run()

    expect(reloaded).toMatchObject({ refused: expect.stringContaining(missing), changed: [] })
    expect(vendor.requests.at(-1)?.model).toBe('gpt-4.1')
    expect(running.lines.at(-1) + running.lines.join('')).toContain('missing.yaml')
  })

  test('a setting that is not live waits for the next start, is named, and does not keep the others', async () => {
    const reloaded = await running.reload({ DAEMON_PORT: '1', OPENAI_MODEL: 'gpt-5' })

    expect(reloaded).toEqual({ refused: undefined, changed: ['OPENAI_MODEL'], waiting: ['DAEMON_PORT'] })
    const line = running.lines.find((each) => each.includes('count from the next start on'))
    expect(JSON.parse(String(line))).toMatchObject({ level: 'warn', settings: ['DAEMON_PORT'] })
    const change = running.lines.findLast((each) => each.includes('"setting":"OPENAI_MODEL"'))
    expect(JSON.parse(String(change))).toMatchObject({ from: 'gpt-4.1', to: 'gpt-5' })
  })
})

const SUMMARY_START = JSON.stringify(SUMMARY_PROMPT).slice(1, 60)

liveEffect(
  ['DAEMON_JWT_SECRET', 'DAEMON_JWT_PREVIOUS_SECRETS', 'DAEMON_AUTH_API_KEYS'],
  'who comes with a new one is let in, with an old one is not, unless it is still good',
  async () => {
    const [older, newer] = ['older'.repeat(8), 'newer'.repeat(8)] as const
    const key = (letter: string) => JSON.stringify([{ key: letter.repeat(32), clientId: letter }])
    const running = await startWith(folder.path, { DAEMON_JWT_SECRET: older, DAEMON_AUTH_API_KEYS: key('a') })
    const enter = async (headers: Record<string, string>) => {
      const client = await RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`, headers)
      client.close()
    }
    const withToken = async (secret: string) => {
      const token = await new SignJWT({})
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject('me')
        .setIssuer('wundr-orchestrator')
        .setAudience('wundr-daemon')
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(new TextEncoder().encode(secret))
      return enter({ authorization: `Bearer ${token}` })
    }
    await withToken(older)
    await enter({ 'x-api-key': 'a'.repeat(32) })

    const rotated = { DAEMON_JWT_SECRET: newer, DAEMON_AUTH_API_KEYS: key('b') }
    await running.reload({ ...rotated, DAEMON_JWT_PREVIOUS_SECRETS: JSON.stringify([older]) })
    await vi.waitFor(() => withToken(newer), PATIENCE)
    await withToken(older)
    await enter({ 'x-api-key': 'b'.repeat(32) })
    await expect(enter({ 'x-api-key': 'a'.repeat(32) })).rejects.toThrow('401')

    await running.reload(rotated)
    await vi.waitFor(() => expect(withToken(older)).rejects.toThrow('401'), PATIENCE)
    await withToken(newer)
    await running.stop()
    expect(running.lines.join('')).not.toMatch(/older.?older|newer.?newer|aaaaaaaa|bbbbbbbb/)
  },
)

liveEffect(['ANTHROPIC_MODEL'], 'the next call of a session that names none asks the other one', async () => {
  const vendor = await refusingModel()
  const running = await startWith(folder.path, { ANTHROPIC_API_KEY: 'k', ANTHROPIC_BASE_URL: vendor.url })
  const client = await RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`)
  const tasks = new Tasks(client, 'o')
  await tasks.run()
  await running.reload({ ANTHROPIC_MODEL: 'claude-opus-5' })
  await tasks.run()
  client.close()
  await running.stop()
  vendor.stop()

  expect(vendor.requests.map(({ body }) => body.model)).toEqual(['claude-sonnet-4-6', 'claude-opus-5'])
})

liveEffect(
  ['CHARTER_FILE', 'APPROVAL_TIMEOUT'],
  'a session that may do something must ask for it, waits no longer than that, and then may no more',
  async () => {
    const model = await startScriptedModel()
    const running = await startWith(folder.path, { OPENAI_API_KEY: 'k', OPENAI_BASE_URL: model.openaiUrl })
    const client = await RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`)
    const tasks = new Tasks(client, 'o')
    const file = join(folder.path, 'charter.yaml')
    const seen = (type: string) => client.frames.filter((frame) => frame.type === type)
    const task = 'Write a report after `cp -r . report.md`'
    await tasks.run(task)
    expect(seen('approval_request')).toEqual([])

    writeFileSync(file, 'safetyHeuristics: {requireConfirmation: ["cp *"]}\n')
    await running.reload({ CHARTER_FILE: file, APPROVAL_TIMEOUT: '1000' })
    await tasks.run(task)
    expect(seen('approval_resolved')[0]).toMatchObject({ status: 'expired' })

    const asked = seen('approval_request').length
    writeFileSync(file, 'safetyHeuristics: {alwaysReject: ["cp *"]}\nresourceLimits: {maxSessions: 3}\n')
    await running.reload({ CHARTER_FILE: file })
    await tasks.run(task)
    expect(seen('approval_request')).toHaveLength(asked)
    expect(seen('tool_call_result').some((each) => JSON.stringify(each).includes('The charter forbids'))).toBe(true)

    writeFileSync(file, 'resourceLimits: {maxSessions: many}\n')
    const reloaded = await running.reload({ CHARTER_FILE: file })
    expect(reloaded.refused).toContain(`${file}:1: resourceLimits.maxSessions`)
    client.close()
    await running.stop()
    await model.stop()
  },
)
