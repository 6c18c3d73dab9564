/**
 * `route_task` at the door of an edge: whose task it is, what is answered, and who waits for results.
 */
import { expect, test, vi } from 'vitest'
import type { TaskFederation } from '../../../src/edge/dependencies.js'
import { ServiceError } from '../../../src/protocol/errors.js'
import type { DelegationResult } from '../../../src/protocol/federation.js'
import { AUTH, startEdge, token } from './edge-fixture.js'

const RESULT: DelegationResult = {
  ...{ delegationId: 'd-1', taskId: 'mine', status: 'completed', orchestrator: 'o', sessionId: 's', output: 'done' },
  ...{ attempts: 1, durationMs: 5 },
}
const CHOICE = { orchestrator: 'o', score: 80, reasons: ['30: can do it'] }
const task = { id: 'mine', description: 'x' }

/** A federation in which one orchestrator takes everything, and results come when the test says so. */
function scripted(more: Partial<TaskFederation> = {}) {
  const results: { signal: AbortSignal; resolve: (result: DelegationResult) => void }[] = []
  const federation = {
    route: vi.fn<TaskFederation['route']>(async () => ({ status: 'chosen', choice: CHOICE })),
    submit: vi.fn<TaskFederation['submit']>(async (_holder, request) => request.id ?? 'made-here'),
    result: vi.fn<TaskFederation['result']>((_tenant, _id, signal) => {
      return new Promise((resolve) => {
        results.push({ signal, resolve })
        signal.addEventListener('abort', () => resolve(undefined))
      })
    }),
    ...more,
  }
  return { federation, results }
}

test('the answer names the orchestrator, its score and why, and nothing is delegated', async () => {
  const { federation } = scripted()
  const { client } = await startEdge({ federation })

  const routed = await (await client()).ask({ type: 'route_task', payload: { task, capabilities: ['x'] } })

  expect(routed).toMatchObject({ type: 'task_routed', taskId: 'mine', decision: { ...CHOICE, strategy: 'federation' } })
  expect(federation.route).toHaveBeenCalledWith('local', expect.objectContaining({ capabilities: ['x'] }))
  expect(federation.submit).not.toHaveBeenCalled()
})

test('with execute the task is delegated for the client behind the connection, and the result follows', async () => {
  const { federation, results } = scripted()
  const { client } = await startEdge({ federation, auth: AUTH })
  const alice = await client({ token: await token({ sub: 'alice', claims: { tenant: 'acme', role: 'user' } }) })

  const message = { type: 'route_task', payload: { task, execute: true, delegationId: 'd-1' } }
  const routed = await alice.ask(message)
  await vi.waitUntil(() => results.length > 0)
  results[0]?.resolve(RESULT)
  const ended = await alice.type('delegation_result')

  expect(routed).toMatchObject({ type: 'task_routed', delegationId: 'd-1' })
  expect(ended).toMatchObject({ delegationId: 'd-1', result: RESULT, requestId: routed.requestId })
  const [[holder, request] = []] = vi.mocked(federation.submit).mock.calls
  expect(holder).toMatchObject({ tenant: 'acme', subject: 'alice' })
  expect(request).toMatchObject({ id: 'd-1', from: 'default', timeoutMs: 300_000, retries: 3 })
  expect(federation.result).toHaveBeenCalledWith('acme', 'd-1', expect.anything())
})

test('a client that only reads may neither ask nor delegate', async () => {
  const { federation } = scripted()
  const { client } = await startEdge({ federation, auth: AUTH })
  const reader = await client({ token: await token({ claims: { tenant: 'acme', role: 'readonly' } }) })

  const answer = await reader.ask({ type: 'route_task', payload: { task, execute: true } })

  expect(answer).toMatchObject({ type: 'error', code: 'forbidden' })
  expect(federation.route).not.toHaveBeenCalled()
  expect(federation.submit).not.toHaveBeenCalled()
})

test('nobody waits for the result of a client that has gone, and one that asks again waits once', async () => {
  const { federation, results } = scripted()
  const { client } = await startEdge({ federation })
  const raw = await client()
  const message = { type: 'route_task', payload: { task, execute: true, delegationId: 'd-1' } }

  await raw.ask(message)
  await raw.ask(message)
  await vi.waitUntil(() => results.length === 2)
  const before = results.map(({ signal }) => signal.aborted)
  await raw.close()
  await vi.waitUntil(() => results.every(({ signal }) => signal.aborted))

  expect(before).toEqual([true, false])
})

test('a delegation that is refused, and a result that cannot be had, are said under the id of the request', async () => {
  const refused = scripted({
    submit: async () => Promise.reject(new ServiceError('idempotency_conflict', { key: 'd' })),
  })
  const lost = scripted({ result: async () => Promise.reject(new ServiceError('unavailable', { reason: 'r' })) })
  const message = { type: 'route_task', requestId: 'r-1', payload: { task, execute: true } }
  const answers = []
  for (const { federation } of [refused, lost]) {
    const raw = await (await startEdge({ federation })).client()
    raw.send(message)
    answers.push(await raw.type('error'))
  }

  expect(answers).toMatchObject([
    { code: 'idempotency_conflict', requestId: 'r-1' },
    { code: 'unavailable', requestId: 'r-1', retryable: true },
  ])
})
