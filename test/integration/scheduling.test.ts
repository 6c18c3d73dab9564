/**
 * Tasks that wait, through the whole service: one process with the built-in database, and a node of a cluster on Redis and
 * PostgreSQL. Both keep the same promises.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Client, connect } from '../../src/client/client.js'
import type { ScheduledTask } from '../../src/protocol/schedule.js'
import { createServerDatabase } from '../support/databases.js'
import { RawClient, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const PATIENCE = { timeout: 20_000, interval: 20 }
const LONG = { echo: { count: 10_000, bytes: 4, delayMs: 50 } }

const alone = { SHARD_COUNT: '4', SCHEDULE_MIN_INTERVAL: '1000', DAEMON_RATE_LIMIT_ENABLED: 'false' }

describe.each(['one process', 'a node of a cluster'])('%s', (kind) => {
  const folder = settingsFolder()
  let stores: Awaited<ReturnType<typeof createServerDatabase>> | undefined
  let running: RunningDaemon
  let client: Client

  beforeAll(async () => {
    const redis = process.env.TEST_REDIS_URL
    stores = kind === 'one process' ? undefined : await createServerDatabase()
    const cluster = stores &&
      redis && {
        ...{ REDIS_URL: redis, DATABASE_URL: stores.url, CLUSTER_NAME: `scheduling_${randomBytes(4).toString('hex')}` },
      }
    running = await startWith(folder.path, { ...alone, ...(cluster || {}) })
    client = await connect({ url: `ws://127.0.0.1:${running.daemon.port}` })
  })
  afterAll(async () => {
    client?.close()
    await running?.stop()
    await stores?.remove()
    folder.remove()
  })

  const spawn = (task: object = {}) => client.spawn({ sessionType: 'echo', task: { description: 'first', ...task } })
  const stateOf = async ({ scheduleId }: ScheduledTask) =>
    (await client.tasks({ state: 'all' })).tasks.find((it) => 'scheduleId' in it && it.scheduleId === scheduleId)

  test('a delayed task of a session runs when its time has come, and says which run it is', async () => {
    const session = await spawn()
    await session.result()
    const askedAt = performance.now()
    const end = await session.execute({ id: 'later', description: 'later', delayMs: 700 })

    expect(end).toMatchObject({ type: 'task_completed', taskId: 'later', result: { output: 'later' } })
    expect(performance.now() - askedAt).toBeGreaterThanOrEqual(690)
  })

  test('a task waits for a task of another session, visibly, and runs when that is completed', async () => {
    const [first, second] = await Promise.all([spawn({ id: 'slow', metadata: LONG }), spawn({ id: 'one' })])
    await second.result()
    const scheduled = await client.schedule({
      sessionId: second.id,
      task: { id: 'after', description: 'after', dependsOn: [{ taskId: 'slow', sessionId: first.id }] },
    })
    const listed = await client.tasks({ sessionId: second.id })
    await vi.waitFor(async () => {
      const { tasks } = await client.tasks({ sessionId: first.id })
      expect(tasks).toMatchObject([{ taskId: 'slow', state: 'in_progress', position: 0 }])
    }, PATIENCE)
    await first.cancel('slow')
    await vi.waitFor(async () => expect(await stateOf(scheduled)).toMatchObject({ state: 'failed' }), PATIENCE)

    expect(listed.tasks).toMatchObject([
      {
        taskId: 'after',
        state: 'waiting',
        waitingFor: [{ kind: 'task', taskId: 'slow', sessionId: first.id }],
        position: 1,
      },
    ])
  })

  test('a task whose dependency fails ends in its session as task_failed with a code', async () => {
    const session = await spawn()
    const ended = session.execute({ id: 'after', description: 'after', dependsOn: ['bad'] })
    const bad = await session.execute({ id: 'bad', description: 'bad', metadata: { echo: { count: 0 } } })

    expect(bad.type).toBe('task_failed')
    expect(await ended).toMatchObject({ type: 'task_failed', taskId: 'after', code: 'dependency_failed' })
  })

  test('a chain over a session that does not exist yet runs in its order', async () => {
    const key = randomBytes(4).toString('hex')
    const first = await client.schedule({
      sessionType: 'echo',
      task: { id: `a-${key}`, description: 'a', delayMs: 3_000 },
    })
    const second = await client.schedule({
      sessionType: 'echo',
      task: { id: `b-${key}`, description: 'b', dependsOn: [`a-${key}`] },
    })
    expect(second).toMatchObject({ state: 'waiting', waitingFor: [{ kind: 'task', taskId: `a-${key}` }] })

    await vi.waitFor(async () => expect(await stateOf(second)).toMatchObject({ state: 'released' }), PATIENCE)
    const before = await stateOf(first)
    const session = await client.attach((await stateOf(second))?.sessionId ?? '', { eventId: '0-0' })
    expect(before).toMatchObject({ state: 'released', runs: 1 })
    expect(await session.result()).toMatchObject({ type: 'task_completed', taskId: `b-${key}` })
  })

  test('a repeated task runs in its session again and again until it is cancelled', async () => {
    const session = await spawn()
    const scheduled = await client.schedule({
      sessionId: session.id,
      task: { id: 'tick', description: 'tick', repeat: { cron: '* * * * * *' } },
    })
    const ends: string[] = []
    for await (const message of session) {
      if (message.type === 'task_completed' && message.taskId.startsWith('tick')) ends.push(message.taskId)
      if (ends.length === 2) break
    }
    await client.cancelScheduled(scheduled.scheduleId)

    expect(ends).toEqual(['tick.1', 'tick.2'])
    await vi.waitFor(
      async () => expect(await stateOf(scheduled)).toMatchObject({ state: 'cancelled', nextRunAt: null }),
      PATIENCE,
    )
  })

  test('cancelling a task that waits outside its session ends it there, visibly', async () => {
    const session = await spawn()
    const ended = session.execute({ id: 'never', description: 'never', delayMs: 3_600_000 })
    await vi.waitFor(
      async () =>
        expect((await client.tasks({ sessionId: session.id })).tasks.map((it) => it.taskId)).toContain('never'),
      PATIENCE,
    )
    await session.cancel('never')

    expect(await ended).toMatchObject({ type: 'task_cancelled', taskId: 'never', reason: 'cancelled before it began' })
  })

  test('the inbox of a session is shown in its order, with what runs first', async () => {
    const session = await spawn({ id: 'running', metadata: LONG })
    onTestFinished(() => session.stop())
    void session.execute({ id: 'x', description: 'x' }).catch(() => undefined)
    void session.execute({ id: 'y', description: 'y', priority: 'critical' }).catch(() => undefined)

    await vi.waitFor(async () => {
      const { tasks } = await client.tasks({ sessionId: session.id })
      expect(tasks).toMatchObject([
        { taskId: 'running', state: 'in_progress', waitingFor: [], position: 0 },
        { taskId: 'x', state: 'pending', waitingFor: [{ kind: 'turn' }], position: 1 },
        { taskId: 'y', state: 'pending', waitingFor: [{ kind: 'turn' }], position: 2, priority: 'critical' },
      ])
    }, PATIENCE)
    expect((await client.tasks()).tasks.map(({ taskId }) => taskId)).toContain('running')
  })

  test('what cannot be scheduled is refused with a code and a reason', async () => {
    const raw = await RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`)
    onTestFinished(() => raw.close())
    const session = await spawn()
    const ask = async (task: object) => {
      raw.frames.length = 0
      return raw.ask(
        { type: 'execute_task', payload: { sessionId: session.id, task: { description: 'x', ...task } } },
        'error',
      )
    }

    expect(await ask({ repeat: { cron: 'often' } })).toMatchObject({ code: 'schedule_invalid' })
    expect(await ask({ id: 'me', dependsOn: ['me'] })).toMatchObject({ code: 'dependency_cycle' })
    expect(
      await ask({ dependsOn: [{ taskId: 'a', sessionId: 'session_000_00000000000000000000000000' }] }),
    ).toMatchObject({
      code: 'dependency_unknown',
    })
    expect(await ask({ delayMs: 'soon' })).toMatchObject({ code: 'invalid_payload' })
  })
})
