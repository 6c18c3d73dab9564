/**
 * Sessions of type claude-flow: a coordinator and its agents in a real Claude Code, with the swarm's own tools.
 */
import { expect, test } from 'vitest'
import type { LoggedEvent } from '../../src/protocol/events.js'
import type { AgentMemory, MemoryHolder, MemoryNote } from '../../src/runtimes/agent-memory.js'
import { Swarms } from '../../src/storage/swarms.js'
import { claudeCluster } from '../support/claude-cluster.js'
import type { Asked, Says } from '../support/claude-vendor.js'

type Call = NonNullable<Says['calls']>[number]
const swarm = (name: string, input: object): Call => ({ name: `mcp__swarm__${name}`, input })
const agent = (role: string, prompt: string): Call => ({
  name: 'Agent',
  input: { subagent_type: role, description: 'its part', prompt },
})

const roleOf = ({ system }: Asked): string | undefined => /You (plan|write code|review|test)\./.exec(system)?.[1]

/** How often the model has spoken in this conversation since its beginning. */
const stepOf = ({ all }: Asked): number => all.split('"role":"assistant"').length - 1

/** The coordinator writes a task down, spawns a coder and lets it work; the coder writes a file and ends its task. */
function script(asked: Asked): Says {
  if (roleOf(asked) === 'write code') {
    const steps: Says[] = [
      { text: 'Coder here.', calls: [{ name: 'Bash', input: { command: 'echo code > code.txt', description: 'x' } }] },
      { calls: [swarm('task_complete', { taskId: 'task-1', result: 'code.txt is written' })] },
      { text: 'Done: code.txt.' },
    ]
    return steps[Math.min(stepOf(asked), 2)] ?? {}
  }
  const steps: Says[] = [
    {
      text: 'I organise.',
      calls: [
        swarm('swarm_init', { topology: 'star', maxAgents: 9 }),
        swarm('task_create', { description: 'write the code', priority: 'high' }),
        swarm('agent_spawn', { type: 'coder' }),
      ],
    },
    { calls: [swarm('task_assign', { taskId: 'task-1', agent: 'coder-1' })] },
    { calls: [agent('coder', 'write code.txt; it is task-1')] },
    { text: 'The swarm is done.' },
  ]
  return steps[Math.min(stepOf(asked), 3)] ?? {}
}

const whoSaid = (events: readonly LoggedEvent[]): unknown[] =>
  events.flatMap((event) =>
    event.type === 'tool_call_start'
      ? [[event.agent ?? 'coordinator', event.data.toolName.replace('mcp__swarm__', '')]]
      : [],
  )

test('X-03: the coordinator gives a task to an agent, whose words and calls are told under its name', async () => {
  const { cluster, vendor } = await claudeCluster(script)
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-flow', { description: 'make it' }, { topology: 'mesh', maxAgents: 3 })

  const done = await session.event('task_completed')

  expect(done.result.output).toBe('The swarm is done.')
  expect(whoSaid(session.events)).toEqual([
    ['coordinator', 'swarm_init'],
    ['coordinator', 'task_create'],
    ['coordinator', 'agent_spawn'],
    ['coordinator', 'task_assign'],
    ['coordinator', 'Agent'],
    ['coder', 'Bash'],
    ['coder', 'task_complete'],
  ])
  const ends = session.events.filter((event) => event.type === 'stream_end')
  expect(
    ends
      .filter((event) => event.agent === 'coder')
      .map(({ text }) => text)
      .join(''),
  ).toBe('Coder here.Done: code.txt.')
  for (const { messageId, text } of ends) expect(session.texts.get(messageId) ?? '').toBe(text)
  expect(await new Swarms(cluster.database).load(session.id).then((json) => JSON.parse(json ?? ''))).toMatchObject({
    topology: 'star',
    maxAgents: 3,
    agents: [{ name: 'coder-1', role: 'coder' }],
    tasks: [
      { id: 'task-1', status: 'completed', assignedTo: 'coder-1', result: 'code.txt is written', priority: 'high' },
    ],
  })
  expect((await cluster.workspaces.load(session.id)).map(({ path }) => path)).toEqual(['code.txt'])
  expect(vendor.asked[0]?.system).toContain('at most 3 agents')
  expect(done.usage).toMatchObject({ promptTokens: 7 * 20, completionTokens: 7 * 5 })
})

test('what a swarm has agreed on survives its worker, and so does the conversation', async () => {
  const { cluster, vendor } = await claudeCluster(
    (asked) => {
      if (roleOf(asked) === 'write code') return { text: Array.from({ length: 500 }, (_, n) => `n${n}`).join(' ') }
      if (asked.last.includes('another one goes on')) return { calls: [swarm('task_status', {})] }
      if (asked.last.includes('task-1') && asked.all.includes('another one goes on')) return { text: 'We go on.' }
      return script(asked)
    },
    { tokensPerSecond: 40 },
  )
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('ruflo', { description: 'make it' })
  await session.event('tool_call_start', 4)
  await cluster.takeOver('worker-2')

  const done = await session.event('task_completed')

  expect(done.result.output).toBe('We go on.')
  const answered = session.events.filter((event) => event.type === 'tool_call_result').at(-1)
  expect(JSON.stringify(answered)).toContain('write the code')
  expect(vendor.asked.at(-1)?.all).toContain('I organise.')
})

test('what an agent notes is in the memory of whoever has the session, and found there', async () => {
  const notes: { readonly holder: MemoryHolder; readonly note: MemoryNote }[] = []
  const memory: AgentMemory = {
    store: async (holder, note) => {
      notes.push({ holder, note })
      return { id: 'note-1', replaced: [] }
    },
    search: async (_holder, { query }) => [
      {
        ...{ id: 'note-1', tier: 'semantic', namespace: 'default', key: undefined, content: `about ${query}` },
        ...{ tags: [], score: 1, validFrom: '2026-01-01T00:00:00.000Z', sessionId: undefined },
      },
    ],
    find: async () => undefined,
    forget: async () => 0,
  }
  const { cluster } = await claudeCluster(
    (asked) => {
      const steps: Says[] = [
        { calls: [swarm('memory_store', { content: 'The port is 8787.' })] },
        { calls: [swarm('memory_search', { query: 'port' })] },
        { text: 'Noted.' },
      ]
      return steps[Math.min(stepOf(asked), 2)] ?? {}
    },
    { memory },
  )
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-flow', { description: 'note it' })
  await session.event('task_completed')

  expect(notes).toMatchObject([
    { holder: { tenant: 'acme', sessionId: session.id }, note: { content: 'The port is 8787.' } },
  ])
  expect(JSON.stringify(await session.event('tool_call_result', 1))).toContain('about port')
})
