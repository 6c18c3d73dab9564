/**
 * A swarm: what its tools change, what they refuse, and what is kept.
 */
import { expect, test } from 'vitest'
import { Swarm, type SwarmStore } from '../../../src/runtimes/swarm/swarm.js'
import { swarmTools } from '../../../src/runtimes/swarm/swarm-tools.js'
import type { ToolContext } from '../../../src/runtimes/tools/tool.js'

const CONTEXT: ToolContext = {
  tenant: 't',
  owner: 'o',
  sessionId: 's',
  orchestratorId: 'x',
  workspace: '/nowhere',
  signal: new AbortController().signal,
}

function fixture(kept: { body?: string } = {}) {
  const store: SwarmStore = {
    load: async () => kept.body,
    save: async (_id, _epoch, body) => {
      kept.body = body
      return true
    },
  }
  return { kept, store, ...open(store) }
}

function open(store: SwarmStore) {
  const swarm = new Swarm({ store, sessionId: 's', epoch: 1, initial: { topology: 'mesh', maxAgents: 2 } })
  const tools = new Map(swarmTools(swarm).map((tool) => [tool.spec.name, tool]))
  const call = async (name: string, input: Record<string, unknown> = {}) => {
    const outcome = await tools.get(name)?.run(input, CONTEXT)
    return outcome?.status === 'completed' ? outcome.result : outcome?.error
  }
  return { swarm, call }
}

test('a task goes from its creation to its end, and the next owner finds it so', async () => {
  const { call, kept } = fixture()
  expect(await call('task_create', { description: 'write' })).toMatchObject({
    id: 'task-1',
    status: 'pending',
    priority: 'medium',
  })
  expect(await call('agent_spawn', { type: 'coder' })).toMatchObject({ name: 'coder-1', role: 'coder' })
  expect(await call('task_assign', { taskId: 'task-1', agent: 'coder-1' })).toMatchObject({ status: 'in_progress' })
  expect(await call('agent_list')).toMatchObject({ agents: [{ name: 'coder-1', status: 'working', completed: 0 }] })
  expect(await call('task_complete', { taskId: 'task-1', result: 'ok' })).toMatchObject({
    status: 'completed',
    result: 'ok',
  })

  const next = fixture(kept)
  expect(await next.call('task_status', { taskId: 'task-1' })).toMatchObject({
    status: 'completed',
    assignedTo: 'coder-1',
  })
  expect(await next.call('agent_list')).toMatchObject({ agents: [{ name: 'coder-1', status: 'idle', completed: 1 }] })
})

test.each([
  ['agent_spawn', { type: 'wizard' }, /not as expected/],
  ['agent_spawn', { type: 'coder', name: 'a b' }, /not as expected/],
  ['task_assign', { taskId: 'task-9', agent: 'coder-1' }, /no agent coder-1; there are: none/],
  ['task_complete', { taskId: 'task-9', result: 'x' }, /no task task-9/],
  ['task_status', { taskId: 'task-9' }, /no task task-9/],
  ['task_create', { description: '' }, /not as expected/],
  ['swarm_init', { maxAgents: 99 }, /not as expected/],
])('%s refuses %j', async (tool, input, sentence) => {
  const { call, kept } = fixture()
  expect(await call(tool, input)).toMatch(sentence)
  expect(kept.body).toBeUndefined()
})

test('a swarm has no more agents than it may, and no two of one name', async () => {
  const { call } = fixture()
  await call('agent_spawn', { type: 'coder', name: 'ada' })
  expect(await call('agent_spawn', { type: 'tester', name: 'ada' })).toMatch(/is an agent ada already/)
  await call('agent_spawn', { type: 'tester' })
  expect(await call('agent_spawn', { type: 'planner' })).toMatch(/has its 2 agents/)
  expect(await call('swarm_init', { maxAgents: 9 })).toMatchObject({ maxAgents: 2 })
})

test('a task that has ended stays as it ended', async () => {
  const { call } = fixture()
  await call('task_create', { description: 'x' })
  await call('task_complete', { taskId: 'task-1', result: 'no', success: false })
  expect(await call('task_complete', { taskId: 'task-1', result: 'yes' })).toMatch(/has ended: failed/)
})

test('changes at the same time are all kept', async () => {
  const { call } = fixture()
  await Promise.all(Array.from({ length: 20 }, (_, n) => call('task_create', { description: `d${n}` })))
  const { tasks } = (await call('task_status')) as { tasks: { id: string }[] }
  expect(new Set(tasks.map(({ id }) => id)).size).toBe(20)
})

test('a change that the store refuses has not happened', async () => {
  const { swarm, call } = open({ load: async () => undefined, save: async () => false })
  expect(await call('task_create', { description: 'x' })).toMatch(/taken the session over/)
  expect((await swarm.state()).tasks).toEqual([])
})
