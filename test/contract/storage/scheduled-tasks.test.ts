/**
 * Scheduled tasks on every database: what waits for what, who hands it over, and what a crash at any moment changes.
 */
import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Timing } from '../../../src/protocol/schedule.js'
import type { Scheduling } from '../../../src/scheduling/scheduling.js'
import type { Database } from '../../../src/storage/database.js'
import { eachDatabase } from '../../support/databases.js'
import { holder, NotingDoor, schedulingNode, session } from '../../support/scheduling-fixture.js'

const PATIENCE = { timeout: 10_000, interval: 20 }
const NEVER_MS = 3_600_000

eachDatabase((open) => {
  const newTenant = (): string => `t${randomBytes(4).toString('hex')}`

  async function house(limits = {}) {
    const database = await open()
    const [tenant, door] = [newTenant(), new NotingDoor()]
    const scheduling = schedulingNode(database, door, `node@${tenant}`, limits)
    onTestFinished(() => scheduling.stop())
    const { id, begins, ends } = await session(database, tenant)
    const give = (taskId: string, timing: Timing, sessionId = id, more: { key?: string; subject?: string } = {}) =>
      scheduling.schedule(holder(tenant, more.subject), {
        request: { kind: 'execute', sessionId, task: { id: taskId, description: taskId } },
        timing,
        key: more.key,
      })
    const states = async () =>
      Object.fromEntries(
        (await scheduling.list(holder(tenant), { state: 'all', limit: 200 })).map(({ taskId, state }) => [
          taskId,
          state,
        ]),
      )
    return { database, tenant, door, scheduling, sessionId: id, begins, ends, give, states }
  }

  /** As if so much time had passed. */
  const age = (database: Database, tenant: string, ms: number) =>
    sql`update scheduled_tasks set due_at = due_at - ${ms}::double precision * interval '1 millisecond' where tenant = ${tenant}`.execute(
      database.sql,
    )

  const once = (scheduling: Scheduling) => void scheduling.start()

  test('a key and a task may be named with a character that the database cannot keep', async () => {
    const { tenant, scheduling, sessionId, give, states } = await house()
    once(scheduling)
    const [first, again] = [
      await give('a\0', { delayMs: NEVER_MS }, sessionId, { key: 'k\0' }),
      await give('a\0', { delayMs: NEVER_MS }, sessionId, { key: 'k\0' }),
    ]

    await scheduling.cancelTask(holder(tenant), sessionId, 'a\0')

    expect(again.scheduleId).toBe(first.scheduleId)
    await vi.waitFor(async () => expect(Object.values(await states())).toEqual(['cancelled']), PATIENCE)
  })

  test('a run carries where in a trace it was asked for, also when another node hands it over', async () => {
    const { database, tenant, door, scheduling, sessionId } = await house()
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const request = { kind: 'execute', sessionId, task: { id: 'traced', description: 'x' } } as const
    await scheduling.schedule(holder(tenant), { request, timing: { delayMs: 0 }, key: undefined, traceparent })
    const other = schedulingNode(database, door, `other@${tenant}`)
    onTestFinished(() => other.stop())

    other.start()

    await vi.waitFor(() => expect(door.commands).toMatchObject([{ task: { id: 'traced' }, traceparent }]), PATIENCE)
  })

  describe('a delayed task', () => {
    test('is not handed over before its time, and then once', async () => {
      const { database, tenant, door, scheduling, give } = await house()
      once(scheduling)
      const scheduled = await give('later', { delayMs: NEVER_MS })
      const soon = await give('soon', { delayMs: 200 })

      await vi.waitFor(() => expect(door.commands).toHaveLength(1), PATIENCE)
      expect(scheduled).toMatchObject({ state: 'waiting', waitingFor: [{ kind: 'time', at: scheduled.nextRunAt }] })
      expect(door.commands[0]).toMatchObject({
        type: 'execute',
        task: { id: 'soon', metadata: { schedule: { id: soon.scheduleId } } },
      })
      await age(database, tenant, NEVER_MS)
      await vi.waitFor(() => expect(door.commands.map(({ task }) => task.id)).toEqual(['soon', 'later']), PATIENCE)
    })

    test('that several nodes see to is handed over once', async () => {
      const { database, tenant, door, give } = await house()
      const nodes = [1, 2, 3, 4].map((n) => schedulingNode(database, door, `other${n}@${tenant}`))
      for (const node of nodes) once(node)
      onTestFinished(async () => void (await Promise.all(nodes.map((node) => node.stop()))))

      for (let n = 0; n < 20; n++) await give(`task-${n}`, { delayMs: 100 })

      await vi.waitFor(() => expect(door.commands).toHaveLength(20), PATIENCE)
      expect(door.calls).toBe(20)
    })

    test('whose node dies after handing it over runs once: the next node sends the same command', async () => {
      const { database, tenant, door, scheduling, give, states } = await house()
      // The command is taken, and nobody hears of it.
      door.answer = { status: 'unsure' }
      door.takenBefore = true
      once(scheduling)
      await give('once', { delayMs: 0 })
      await vi.waitFor(() => expect(door.calls).toBe(1), PATIENCE)
      await scheduling.stop()
      await sql`update scheduled_tasks set watched_until = null where tenant = ${tenant}`.execute(database.sql)
      door.answer = undefined
      const next = schedulingNode(database, door, `next@${tenant}`)
      onTestFinished(() => next.stop())
      once(next)

      await vi.waitFor(async () => expect(await states()).toEqual({ once: 'released' }), PATIENCE)
      expect(door.calls).toBe(2)
      expect(door.commands).toHaveLength(1)
    })

    test('that its session refuses for good fails with the reason', async () => {
      const { door, scheduling, tenant, give } = await house()
      door.answer = { status: 'refused', code: 'session_not_running', error: 'it is over' }
      once(scheduling)
      await give('refused', { delayMs: 0 })

      await vi.waitFor(async () => {
        const [task] = await scheduling.list(holder(tenant), { state: 'over', limit: 10 })
        expect(task).toMatchObject({ state: 'failed', code: 'session_not_running', error: 'it is over', position: 0 })
      }, PATIENCE)
    })

    test('is the same one when it is asked for again under its key, and another body is refused', async () => {
      const { give } = await house()
      const first = await give('one', { delayMs: NEVER_MS }, undefined, { key: 'k' })
      const again = await give('one', { delayMs: NEVER_MS }, undefined, { key: 'k' })

      expect(again.scheduleId).toBe(first.scheduleId)
      await expect(give('other', { delayMs: NEVER_MS }, undefined, { key: 'k' })).rejects.toMatchObject({
        code: 'idempotency_conflict',
      })
    })
  })

  describe('a task that waits for others', () => {
    test('is handed over when all of them are completed, across sessions', async () => {
      const { database, tenant, door, scheduling, begins, ends, give } = await house()
      const other = await session(database, tenant)
      once(scheduling)
      const timing = { dependsOn: ['a', { taskId: 'b', sessionId: other.id }] }
      const waiting = await give('after', timing)
      await begins('a', 1)
      await ends('a', 'completed')
      await vi.waitFor(async () => {
        const [task] = await scheduling.list(holder(tenant), { state: 'waiting', limit: 10 })
        expect(task?.waitingFor).toEqual([{ kind: 'task', taskId: 'b', sessionId: other.id }])
      }, PATIENCE)
      expect(waiting.waitingFor).toHaveLength(2)
      expect(door.commands).toEqual([])

      await other.begins('b', 1)
      await other.ends('b', 'completed')

      await vi.waitFor(() => expect(door.commands).toMatchObject([{ task: { id: 'after' } }]), PATIENCE)
    })

    test.each(['failed', 'cancelled'] as const)('fails visibly when one of them is %s', async (how) => {
      const { tenant, door, scheduling, begins, ends, give } = await house()
      once(scheduling)
      await give('after', { dependsOn: ['a', 'never'] })
      await begins('a', 1)
      await ends('a', how)

      await vi.waitFor(async () => {
        const [task] = await scheduling.list(holder(tenant), { state: 'over', limit: 10 })
        expect(task).toMatchObject({ state: 'failed', code: 'dependency_failed' })
      }, PATIENCE)
      await vi.waitFor(() => {
        expect(door.commands).toMatchObject([
          { task: { id: 'after' }, ended: { status: 'failed', code: 'dependency_failed' } },
        ])
      }, PATIENCE)
    })

    test('fails when the task that it waits for was cancelled before it began', async () => {
      const { scheduling, ends, give, states } = await house()
      once(scheduling)
      await give('after', { blockedBy: ['a'] })
      await ends('a', 'cancelled')

      await vi.waitFor(async () => expect(await states()).toEqual({ after: 'failed' }), PATIENCE)
    })

    test('runs in a chain of scheduled tasks, and a failure runs through all of it', async () => {
      const { door, scheduling, begins, ends, give, states } = await house()
      once(scheduling)
      await give('first', { delayMs: 0 })
      await give('second', { dependsOn: ['first'] })
      await give('third', { dependsOn: ['second'] })
      await vi.waitFor(() => expect(door.commands).toHaveLength(1), PATIENCE)
      await begins('first', 1)
      await ends('first', 'completed')
      await vi.waitFor(() => expect(door.commands.map(({ task }) => task.id)).toEqual(['first', 'second']), PATIENCE)
      await begins('second', 2)
      await ends('second', 'failed')

      await vi.waitFor(async () => {
        expect(await states()).toEqual({ first: 'released', second: 'released', third: 'failed' })
      }, PATIENCE)
    })

    test('may wait for a task that completed long ago', async () => {
      const { door, scheduling, begins, ends, give } = await house()
      await begins('a', 1)
      await ends('a', 'completed')
      once(scheduling)
      await give('after', { dependsOn: ['a'] })

      await vi.waitFor(() => expect(door.commands).toHaveLength(1), PATIENCE)
    })

    test('that would wait for itself is refused, directly or through others', async () => {
      const { give } = await house()
      await give('a', { dependsOn: ['b'] })
      await give('c', { dependsOn: ['a'] })

      await expect(give('self', { dependsOn: ['self'] })).rejects.toMatchObject({ code: 'dependency_cycle' })
      await expect(give('b', { dependsOn: ['a'] })).rejects.toMatchObject({ code: 'dependency_cycle' })
      await expect(give('b', { dependsOn: ['c'] })).rejects.toMatchObject({ code: 'dependency_cycle' })
    })

    test('cannot wait for what others own, what does not exist, and what never ends', async () => {
      const { database, tenant, scheduling, give } = await house()
      const foreign = await session(database, newTenant())
      const colleague = await session(database, tenant, 'colleague')
      await give('daily', { repeat: { cron: '0 9 * * *', timezone: 'UTC' } })

      for (const sessionId of [foreign.id, colleague.id, 'session_001_00000000000000000000000000']) {
        await expect(give('x', { dependsOn: [{ taskId: 'a', sessionId }] })).rejects.toMatchObject({
          code: 'dependency_unknown',
        })
      }
      await expect(give('x', { dependsOn: ['daily'] })).rejects.toMatchObject({ code: 'schedule_invalid' })
      const spawn = { kind: 'spawn', orchestratorId: 'o', task: 'x' } as const
      const order = { request: spawn, timing: { dependsOn: ['nobody'] }, key: undefined }
      await expect(scheduling.schedule(holder(tenant), order)).rejects.toMatchObject({ code: 'dependency_unknown' })
    })
  })

  describe('a repeated task', () => {
    const everySecond = { cron: '* * * * * *', timezone: 'UTC' }

    test('runs again and again under its own ids, until it has run so often', async () => {
      const { door, scheduling, give, states } = await house()
      once(scheduling)
      const scheduled = await give('tick', { repeat: { ...everySecond, maxRuns: 2 } })

      await vi.waitFor(async () => expect(await states()).toEqual({ tick: 'finished' }), PATIENCE)
      expect(door.commands.map(({ id, task }) => [id, task.id])).toEqual([
        [`${scheduled.scheduleId}.1`, 'tick.1'],
        [`${scheduled.scheduleId}.2`, 'tick.2'],
      ])
    })

    test('makes up for an outage with one run, and says how many it missed', async () => {
      const { database, tenant, door, scheduling, give } = await house()
      await give('hourly', { repeat: { cron: '0 * * * *', timezone: 'UTC' } })
      await age(database, tenant, 5 * 3_600_000)
      once(scheduling)

      await vi.waitFor(() => expect(door.commands).toHaveLength(1), PATIENCE)
      expect(door.commands[0]?.task.metadata?.schedule).toMatchObject({ occurrence: 1, missed: 4 })
      await vi.waitFor(async () => {
        const [task] = await scheduling.list(holder(tenant), { state: 'waiting', limit: 10 })
        expect(task).toMatchObject({ runs: 1, missed: 4, waitingFor: [{ kind: 'time' }] })
      }, PATIENCE)
    })

    test('gives each run a session of its own where it names none', async () => {
      const { tenant, door, scheduling } = await house()
      once(scheduling)
      const request = {
        kind: 'spawn',
        orchestratorId: 'o',
        task: { id: 't', description: 'x' },
        sessionType: 'echo',
      } as const
      const timing = { repeat: { ...everySecond, maxRuns: 2 } }
      const { scheduleId } = await scheduling.schedule(holder(tenant), { request, timing, key: undefined })

      await vi.waitFor(() => expect(door.spawned).toHaveLength(2), PATIENCE)
      expect(door.spawned.map(({ id }) => id)).toEqual([`${scheduleId}.1`, `${scheduleId}.2`])
    })

    test('ends when it is cancelled', async () => {
      const { tenant, door, scheduling, give, states } = await house()
      once(scheduling)
      const { scheduleId } = await give('tick', { repeat: everySecond })
      await vi.waitFor(() => expect(door.commands.length).toBeGreaterThan(0), PATIENCE)
      await scheduling.cancel(holder(tenant), scheduleId)

      await vi.waitFor(async () => expect(await states()).toEqual({ tick: 'cancelled' }), PATIENCE)
      expect(await scheduling.cancel(holder(tenant), scheduleId)).toMatchObject({ state: 'cancelled' })
    })
  })

  describe('a cancelled task', () => {
    test('never begins, its session hears of it, and who waits for it fails', async () => {
      const { tenant, door, scheduling, sessionId, give, states } = await house()
      once(scheduling)
      await give('a', { delayMs: NEVER_MS })
      await give('b', { dependsOn: ['a'] })
      await scheduling.cancelTask(holder(tenant), sessionId, 'a')

      await vi.waitFor(async () => expect(await states()).toEqual({ a: 'cancelled', b: 'failed' }), PATIENCE)
      await vi.waitFor(() => {
        expect(door.commands.map(({ task, ended }) => [task.id, ended?.status])).toEqual([
          ['a', 'cancelled'],
          ['b', 'failed'],
        ])
      }, PATIENCE)
    })

    test('that was on its way is cancelled where it arrives', async () => {
      const { database, tenant, door, scheduling, give } = await house()
      door.answer = { status: 'unsure' }
      once(scheduling)
      const { scheduleId } = await give('a', { delayMs: 0 })
      await vi.waitFor(() => expect(door.calls).toBe(1), PATIENCE)
      await scheduling.cancel(holder(tenant), scheduleId)
      door.answer = undefined
      await sql`update scheduled_tasks set watched_until = null where tenant = ${tenant}`.execute(database.sql)

      await vi.waitFor(() => expect(door.cancelled).toEqual(['a']), PATIENCE)
    })

    test('of somebody else is not there', async () => {
      const { tenant, scheduling, give } = await house()
      const { scheduleId } = await give('a', { delayMs: NEVER_MS })

      await expect(scheduling.cancel(holder(tenant, 'other'), scheduleId)).rejects.toMatchObject({
        code: 'schedule_not_found',
      })
      await expect(scheduling.cancel(holder(newTenant()), scheduleId)).rejects.toMatchObject({
        code: 'schedule_not_found',
      })
      expect(await scheduling.list(holder(tenant, 'other'), { state: 'all', limit: 10 })).toEqual([])
      expect(await scheduling.list(holder(tenant, 'admin', true), { state: 'all', limit: 10 })).toHaveLength(1)
    })
  })

  test('a tenant has room for so many tasks that wait, and other tenants have theirs', async () => {
    const { give, database } = await house({ maxWaiting: 2 })
    await give('a', { delayMs: NEVER_MS })
    await give('b', { delayMs: NEVER_MS })

    await expect(give('c', { delayMs: NEVER_MS })).rejects.toMatchObject({ code: 'schedule_limit' })
    const other = schedulingNode(database, new NotingDoor(), 'other@1', { maxWaiting: 2 })
    const request = { kind: 'spawn', orchestratorId: 'o', task: 'x' } as const
    const order = { request, timing: { delayMs: NEVER_MS }, key: undefined }
    expect(await other.schedule(holder(newTenant()), order)).toMatchObject({ state: 'waiting' })
  })

  test('of tasks that are due the urgent ones are handed over first, and the list shows their places', async () => {
    const { tenant, door, scheduling, sessionId } = await house()
    for (const priority of ['low', 'critical', 'medium', 'high'] as const) {
      const request = { kind: 'execute', sessionId, task: { id: priority, description: 'x', priority } } as const
      await scheduling.schedule(holder(tenant), { request, timing: { delayMs: 0 }, key: undefined })
    }
    const listed = await scheduling.list(holder(tenant), { state: 'waiting', limit: 10 })
    const places = listed.toSorted((one, other) => one.position - other.position).map(({ taskId }) => taskId)
    once(scheduling)

    await vi.waitFor(() => expect(door.commands).toHaveLength(4), PATIENCE)
    expect(places).toEqual(['critical', 'high', 'medium', 'low'])
    expect(door.commands.map(({ task }) => task.id)).toEqual(places)
  })

  test.each([
    ['two times', { runAt: '2030-01-01T00:00:00Z', delayMs: 1 }],
    ['a repetition with a delay', { delayMs: 1, repeat: { cron: '0 9 * * *', timezone: 'UTC' } }],
    ['a time in two years', { runAt: new Date(Date.now() + 2 * 366 * 86_400_000).toISOString() }],
    [
      'a repetition that ends before it begins',
      { repeat: { cron: '0 9 * * *', timezone: 'UTC', until: '2020-01-01T00:00:00Z' } },
    ],
  ])('%s is refused', async (_what, timing) => {
    const { give } = await house()

    await expect(give('x', timing)).rejects.toMatchObject({ code: 'schedule_invalid' })
  })

  test('a task id that the session has used already is refused', async () => {
    const { give, begins } = await house()
    await begins('task-1', 1)

    await expect(give('task-1', { delayMs: 1 })).rejects.toMatchObject({ code: 'task_exists' })
  })
})
