/**
 * The memory tools say to the model what the memory says, for whose session it is.
 */
import { expect, test } from 'vitest'
import type { AgentMemory, MemoryHolder, RecalledNote } from '../../../src/runtimes/agent-memory.js'
import { standardTools } from '../../../src/runtimes/tools/toolbox.js'
import { caller, HOLDER, temporaryWorkspace } from './tool-call.js'

interface Call {
  readonly name: keyof AgentMemory
  readonly holder: MemoryHolder
  readonly what: unknown
}

function remembering(found: readonly RecalledNote[] = []) {
  const calls: Call[] = []
  const noted = <T>(name: keyof AgentMemory, answer: T) => {
    return async ({ tenant, owner, sessionId, orchestratorId }: MemoryHolder, what: unknown): Promise<T> => {
      calls.push({ name, holder: { tenant, owner, sessionId, orchestratorId }, what })
      return answer
    }
  }
  const memory: AgentMemory = {
    store: noted('store', { id: 'mem_1', replaced: ['mem_0'] }),
    search: noted('search', found),
    find: noted('find', undefined),
    forget: noted('forget', 2),
  }
  return { calls, tools: standardTools({ memory }) }
}

const note = (content: string): RecalledNote => ({
  ...{ id: 'mem_1', tier: 'semantic', namespace: 'default', key: undefined, content, tags: [], score: 1 },
  ...{ validFrom: '2026-11-27T00:00:00.000Z', sessionId: undefined },
})

test('a note is stored for the holder of the session, with what the model said about it', async () => {
  const { calls, tools } = remembering()
  const { result } = caller(await temporaryWorkspace(), tools)

  expect(await result('memory_store', { content: 'x', key: 'k', ttlSeconds: 60 })).toEqual({
    id: 'mem_1',
    replaced: ['mem_0'],
  })
  expect(calls).toEqual([
    { name: 'store', holder: HOLDER, what: { content: 'x', key: 'k', tier: 'semantic', ttlMs: 60_000 } },
  ])
})

test('what is found is shown, the long cut short', async () => {
  const { tools } = remembering([note('short'), note('y'.repeat(5_000))])
  const { result } = caller(await temporaryWorkspace(), tools)

  const { count, results } = (await result('memory_search', { query: 'x' })) as {
    count: number
    results: { content: string }[]
  }

  expect(count).toBe(2)
  expect(results.map(({ content }) => content.length)).toEqual([5, 4_001])
})

test('forgetting needs to know what', async () => {
  const { calls, tools } = remembering()
  const { outcome, result } = caller(await temporaryWorkspace(), tools)

  expect(await result('memory_forget', { key: 'k' })).toEqual({ forgotten: 2 })
  expect(await outcome('memory_forget', {})).toMatchObject({
    status: 'failed',
    error: expect.stringMatching(/its key/),
  })
  expect(calls.map(({ name }) => name)).toEqual(['forget'])
})

test('a search may be repeated after a crash without harm, and so may the rest', () => {
  const { tools } = remembering()

  expect(tools.effectOf('memory_search', { query: 'x' })).toBe('read')
  expect(tools.effectOf('memory_store', { content: 'x' })).toBe('idempotent')
  expect(tools.effectOf('memory_forget', { key: 'x' })).toBe('idempotent')
})

test('without a memory there are no tools for it', () => {
  expect(
    standardTools()
      .specs.map(({ name }) => name)
      .filter((name) => name.startsWith('memory')),
  ).toEqual([])
})
