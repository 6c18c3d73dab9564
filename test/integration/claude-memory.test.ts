/**
 * Sessions carried out by Claude Code are told what is remembered for their task, as sessions of type llm are.
 */
import { expect, test } from 'vitest'
import type { AgentMemory, MemoryHolder, MemoryQuestion } from '../../src/runtimes/agent-memory.js'
import { claudeCluster } from '../support/claude-cluster.js'
import type { Asked, Says } from '../support/claude-vendor.js'

const REMEMBERED = 'The user wants every report in Danish.'

function remembering(search?: AgentMemory['search']) {
  const asked: { readonly holder: MemoryHolder; readonly question: MemoryQuestion }[] = []
  const found = { tier: 'semantic', namespace: 'default', key: undefined, tags: [], score: 1, sessionId: 's' } as const
  const memory: AgentMemory = {
    store: async () => ({ id: 'mem_2', replaced: [] }),
    search: async (holder, question) => {
      asked.push({ holder, question })
      if (search) return search(holder, question)
      return [{ ...found, id: 'mem_1', content: REMEMBERED, validFrom: '2026-11-01T00:00:00.000Z' }]
    },
    find: async () => undefined,
    forget: async () => 0,
  }
  return { memory, asked }
}

function script({ last }: Asked): Says {
  if (last.includes('Continue exactly after its last character')) return { text: ' and the rest' }
  if (last.includes('Count slowly')) return { text: Array.from({ length: 400 }, (_, n) => `n${n}`).join(' ') }
  return { text: 'All done, friend.' }
}

test.each(['claude-code', 'claude-flow'] as const)(
  '%s: what is remembered is on record and in the task',
  async (type) => {
    const { memory, asked } = remembering()
    const { cluster, vendor } = await claudeCluster(script, { memory })
    await cluster.takeOver('worker-1')
    const session = await cluster.spawn(type, { description: 'write the report' })
    await session.event('task_completed')
    await session.execute({ description: 'write the other one' })
    await session.event('task_completed', 1)

    expect(session.events.slice(0, 4).map((event) => event.type)).toEqual([
      ...['session_spawned', 'task_executing', 'memory_recalled', 'stream_start'],
    ])
    expect(await session.event('memory_recalled')).toMatchObject({ items: ['mem_1'] })
    expect(asked).toMatchObject([
      { holder: { tenant: 'acme', sessionId: session.id }, question: { query: 'write the report' } },
      { question: { query: 'write the other one' } },
    ])
    const first = vendor.asked.find(({ last }) => last.includes('write the report'))
    expect(first?.last).toContain(REMEMBERED)
    expect(first?.system).not.toContain(REMEMBERED)
  },
)

test('another owner of the task is told the same, and memory is not asked again', async () => {
  const { memory, asked } = remembering()
  const { cluster, vendor } = await claudeCluster(script, { memory, tokensPerSecond: 50 })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'Count slowly' })
  await session.textBegins()
  await cluster.takeOver('worker-2')

  await session.event('task_completed')

  expect(asked).toHaveLength(1)
  expect(session.events.filter(({ type }) => type === 'memory_recalled')).toHaveLength(1)
  const last = vendor.asked.at(-1)?.last
  expect(last).toContain('Continue exactly after its last character')
  expect(last?.split(REMEMBERED)).toHaveLength(2)
})

test('a memory that is away keeps no task from its end', async () => {
  const { memory } = remembering(() => Promise.reject(new Error('away')))
  const { cluster } = await claudeCluster(script, { memory })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'anything' })

  const done = await session.event('task_completed')

  expect(done.result.output).toBe('All done, friend.')
  expect(session.events.map(({ type }) => type)).not.toContain('memory_recalled')
})

test('a session is asked and told in the name of the profile that it was spawned with', async () => {
  const { memory, asked } = remembering()
  const { cluster } = await claudeCluster(script, { memory })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'write the report' }, { memoryProfile: 'reports' })
  await session.event('task_completed')

  expect(asked[0]?.holder.memoryProfile).toBe('reports')
})
