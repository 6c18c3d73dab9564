/**
 * A turn waits for a person: through answers, silence, cancels, the loss of its worker and planned moves.
 */
import { expect, test, vi } from 'vitest'
import type { Gate, Verdict } from '../../src/runtimes/gate.js'
import type { Runtime } from '../../src/runtimes/runtime.js'
import { Approvals } from '../../src/storage/approvals.js'
import { type TestSession, WorkerCluster, type WorkerClusterOptions } from '../support/worker-cluster.js'

const PATIENCE = { timeout: 15_000, interval: 20 } as const
const ASK: Verdict = {
  decision: 'ask',
  reason: 'The charter wants a person to approve this.',
  rule: 'r',
  level: 'confirm',
}
const asking: Gate = { judge: () => ASK }
const call = { callId: 'call-1', name: 'bash_execute', input: { command: 'deploy', long: 'x'.repeat(10_000) } }

/** Runs its one call if it may, and says how it went. */
const oneCall: Runtime = {
  run: async (turn) => {
    const refusal = await turn.permit(call, 'once')
    return { output: refusal?.status === 'failed' ? refusal.error : 'it ran' }
  },
}

async function waiting(options: Partial<WorkerClusterOptions> = {}) {
  const cluster = await WorkerCluster.start({ gate: asking, runtimeOf: () => oneCall, ...options })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'go' })
  const request = await session.event('approval_request')
  const decide = (decision: 'approve' | 'reject', comment?: string) =>
    new Approvals(cluster.database).decide({
      ...{ id: request.approvalId, tenant: 'acme', sessionId: session.id, decision, by: 'alice', isAdmin: false },
      ...{ comment, decisionId: 'decision-1' },
    })
  return { cluster, session, request, decide }
}

const typesOf = (session: TestSession): string[] => session.events.map(({ type }) => type)

test('G-06: a call that is approved runs, and everybody sees who was asked what', async () => {
  const { session, request, decide } = await waiting()
  expect(request).toMatchObject({ callId: 'call-1', toolName: 'bash_execute', level: 'confirm', reason: ASK.reason })
  expect(JSON.stringify(request.toolInput).length, 'long texts are cut').toBeLessThan(3_000)

  await decide('approve')
  await session.announce(request.approvalId)

  expect((await session.event('task_completed')).result.output).toBe('it ran')
  expect(await session.event('approval_resolved')).toMatchObject({ status: 'approved', decidedBy: 'alice' })
  expect(typesOf(session).filter((type) => type.startsWith('approval'))).toEqual([
    'approval_request',
    'approval_resolved',
  ])
})

test('G-06: a call that is rejected does not run, and the model hears why', async () => {
  const { session, request, decide } = await waiting()

  await decide('reject', 'not on a Friday')
  await session.announce(request.approvalId)

  expect((await session.event('task_completed')).result.output).toMatch(/rejected it: not on a Friday/)
})

test('an answer whose command was lost is found all the same', async () => {
  const { session, decide } = await waiting()

  await decide('approve')

  expect((await session.event('task_completed')).result.output).toBe('it ran')
})

test('a call that nobody approves in time is refused', async () => {
  const { session } = await waiting({ approvalTimeoutMs: 1_000 })

  expect((await session.event('task_completed')).result.output).toMatch(/nobody answered in time/)
  expect(await session.event('approval_resolved')).toMatchObject({ status: 'expired' })
})

test('the session shows what waits for a person, and no longer than it does', async () => {
  const { session, request, decide } = await waiting()
  await session.control('pause')
  const paused = await session.event('session_status_update')
  expect(paused.session.pendingApprovals).toEqual([
    expect.objectContaining({ approvalId: request.approvalId, toolName: 'bash_execute', level: 'confirm' }),
  ])

  await decide('approve')
  await session.event('task_completed')
  await session.control('resume')

  expect((await session.event('session_status_update', 1)).session.pendingApprovals).toBeUndefined()
})

test.each([
  ['cancel', 'task_cancelled'],
  ['stop', 'task_cancelled'],
] as const)('%s overtakes the waiting, and withdraws the question', async (control, end) => {
  const { cluster, session, request, decide } = await waiting()

  await session.control(control)
  await session.event(end)

  await vi.waitFor(async () => {
    const [row] = await new Approvals(cluster.database).settled([request.approvalId])
    expect(row?.state).toBe('cancelled')
  }, PATIENCE)
  expect(await decide('approve')).toEqual({ status: 'closed', state: 'cancelled' })
})

test('the next owner waits on after its worker was lost, as often as that happens, and asks nobody again', async () => {
  const { cluster, session, request, decide } = await waiting()
  for (let owner = 2; owner <= 6; owner++) {
    await cluster.takeOver(`worker-${owner}`)
    expect(await session.event('session_takeover', owner - 2), 'waiting is no attempt').toMatchObject({ attempt: 0 })
  }

  await decide('approve')

  expect((await session.event('task_completed')).result.output).toBe('it ran')
  expect(typesOf(session).filter((type) => type === 'approval_request')).toHaveLength(1)
  expect((await session.event('approval_resolved')).approvalId).toBe(request.approvalId)
})

test('what was decided while nobody owned the session counts', async () => {
  const { cluster, session, decide } = await waiting()
  const rows = vi.spyOn(Approvals.prototype, 'settled').mockResolvedValue([])
  await decide('reject')
  rows.mockRestore()

  await cluster.takeOver('worker-2')

  expect((await session.event('task_completed')).result.output).toMatch(/rejected it/)
})

test('waiting takes no slot from others', async () => {
  const { cluster, session, decide } = await waiting({ maxSessions: 1 })
  const other = await cluster.spawn('llm', { description: 'me too' })

  await other.event('approval_request')

  await decide('approve')
  expect((await session.event('task_completed')).result.output).toBe('it ran')
})

test('a tool that always asks does so where the charter does not', async () => {
  const always: Runtime = {
    run: async (turn) => ({ output: (await turn.permit(call, 'ask')) === undefined ? 'it ran' : 'refused' }),
  }
  const { session, decide } = await waiting({ gate: { judge: () => ({ decision: 'allow' }) }, runtimeOf: () => always })

  await decide('approve')

  expect((await session.event('task_completed')).result.output).toBe('it ran')
})

test('a call that the charter forbids is in the audit log, and nobody is asked', async () => {
  const deny: Gate = {
    judge: () => ({ decision: 'deny', reason: 'The charter forbids this.', rule: 'alwaysReject: x' }),
  }
  const cluster = await WorkerCluster.start({ gate: deny, runtimeOf: () => oneCall })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'go' })

  expect((await session.event('task_completed')).result.output).toBe('The charter forbids this.')
  await vi.waitFor(async () => {
    const rows = await cluster.database.sql.selectFrom('audit_log').selectAll().execute()
    expect(rows).toMatchObject([
      { tenant: 'acme', actor: 'charter', action: 'tool.denied', session_id: session.id, subject: 'call-1' },
    ])
  }, PATIENCE)
  expect(typesOf(session)).not.toContain('approval_request')
})

test('a turn that waits moves at once with its shard, and goes on at the next owner', async () => {
  const redisUrl = process.env.TEST_REDIS_URL ?? ''
  const cluster = await WorkerCluster.start({
    gate: asking,
    runtimeOf: () => oneCall,
    redisUrl,
    drainTimeoutMs: 60_000,
  })
  const first = await cluster.takeOver('first')
  const second = await cluster.join('second')
  const session = await cluster.spawn('llm', { description: 'go' })
  const { approvalId } = await session.event('approval_request')

  await cluster.move(first, second)
  await cluster.owned(second)
  await session.event('session_takeover')
  const by = { id: approvalId, tenant: 'acme', sessionId: session.id, by: 'alice', isAdmin: false, comment: undefined }
  await new Approvals(cluster.database).decide({ ...by, decision: 'approve', decisionId: 'd' })
  await session.announce(approvalId)

  expect((await session.event('task_completed')).result.output).toBe('it ran')
  expect(await session.event('session_takeover')).toMatchObject({ worker: second.id, attempt: 0 })
})
