/**
 * Which calls of one answer run side by side, and what a next owner does with those that had begun.
 */
import { expect, test } from 'vitest'
import type { ModelMessage } from '../../../src/models/model.js'
import { OUTCOME_UNKNOWN } from '../../../src/runtimes/prompt.js'
import type { EffectClass } from '../../../src/runtimes/runtime.js'
import { type Call, runCalls } from '../../../src/runtimes/tool-round.js'
import type { Tool, ToolContext } from '../../../src/runtimes/tools/tool.js'
import { Toolbox } from '../../../src/runtimes/tools/toolbox.js'
import { type Entry, type RecordedTurn, recordedTurn } from './recorded-turn.js'

/** Tools named after their class, which end when they are told to. */
function heldTools() {
  const running = new Map<string, { readonly context: ToolContext; readonly end: (failure?: Error) => void }>()
  const tool = (name: EffectClass, shared?: Tool['shared']): Tool => ({
    spec: { name: shared ? `${name} ${shared}` : name, description: '', parameters: {} },
    ...(shared && { shared }),
    effectOf: () => name,
    run: (input, context) =>
      new Promise((resolve, reject) => {
        const id = String(input.id)
        const end = (failure?: Error) => {
          running.delete(id)
          if (failure) reject(failure)
          else resolve({ status: 'completed', result: { of: id } })
        }
        running.set(id, { context, end })
      }),
  })
  const queue = { depth: 0 }
  const all = [
    ...(['read', 'idempotent', 'once', 'ask'] as const).map((name) => tool(name)),
    ...[tool('read', 'workspace'), tool('idempotent', 'workspace')],
  ]
  const tools = new Toolbox(all, undefined, undefined, (change) => {
    queue.depth += change
  })
  const named = (names: readonly string[]): Call[] =>
    names.map((name, index) => ({ callId: `${index + 1}`, name, input: { id: `${index + 1}` } }))
  return { tools, running, named, queue }
}

const resultsOf = (messages: readonly ModelMessage[]) =>
  messages.map((message) => (message.role === 'tool' ? `${message.callId} ${message.text}` : '?'))
const endedOf = ({ entries }: RecordedTurn) =>
  entries.flatMap((entry: Entry) => (entry.type === 'toolEnded' ? [entry.call.callId] : []))

test.each([
  [['read', 'idempotent', 'read'], [['1', '2', '3']]],
  [
    ['read', 'once', 'idempotent', 'read'],
    [['1'], ['2'], ['3', '4']],
  ],
  [
    ['once', 'once', 'ask'],
    [['1'], ['2'], ['3']],
  ],
  [
    ['read workspace', 'idempotent workspace', 'read workspace'],
    [['1'], ['2'], ['3']],
  ],
  [['read workspace', 'read workspace', 'idempotent'], [['1', '2', '3']]],
  [
    Array.from({ length: 10 }, () => 'read'),
    [
      ['1', '2', '3', '4', '5', '6', '7', '8'],
      ['9', '10'],
    ],
  ],
])('of %j these run together: %j', async (names, together) => {
  const { tools, running, named } = heldTools()
  const recorded = await recordedTurn({ task: 'go' })
  const run = runCalls(recorded.turn, tools, named(names))
  const seen: string[][] = []
  for (const group of together) {
    await expect.poll(() => [...running.keys()]).toEqual(group)
    seen.push([...running.keys()])
    for (const { end } of [...running.values()]) end()
  }

  const results = await run

  expect(seen).toEqual(together)
  expect(resultsOf(results)).toEqual(names.map((_name, index) => `${index + 1} {"of":"${index + 1}"}`))
})

test('wundr_tool_queue_depth: calls count as waiting until they begin: for those before them, and for whoever judges them', async () => {
  const { tools, running, named, queue } = heldTools()
  let allow = (): void => undefined
  const judged = new Promise<undefined>((resolve) => (allow = () => resolve(undefined)))
  const recorded = await recordedTurn({ task: 'go' })
  const turn = { ...recorded.turn, permit: () => judged }
  const run = runCalls(turn, tools, named(['once', 'read', 'read']))

  await expect.poll(() => queue.depth).toBe(3)
  expect(running.size).toBe(0)
  allow()
  await expect.poll(() => [...running.keys()]).toEqual(['1'])
  expect(queue.depth).toBe(2)
  running.get('1')?.end()
  await expect.poll(() => running.size).toBe(2)
  expect(queue.depth).toBe(0)
  for (const { end } of [...running.values()]) end()
  await run
})

test('calls that a turn ends before do not wait any longer', async () => {
  const { tools, running, named, queue } = heldTools()
  const recorded = await recordedTurn({ task: 'go' })
  const rejected = expect(runCalls(recorded.turn, tools, named(['once', 'once', 'read']))).rejects.toThrow('a bug')
  await expect.poll(() => queue.depth).toBe(2)

  running.get('1')?.end(new Error('a bug'))
  await rejected

  expect(queue.depth).toBe(0)
})

test('X-09: results are recorded in the order of the calls, each as soon as those before it are', async () => {
  const { tools, running, named } = heldTools()
  const recorded = await recordedTurn({ task: 'go' })
  const run = runCalls(recorded.turn, tools, named(['read', 'read', 'read']))
  await expect.poll(() => running.size).toBe(3)

  running.get('3')?.end()
  running.get('1')?.end()
  await expect.poll(() => endedOf(recorded)).toEqual(['1'])
  running.get('2')?.end()
  await run

  expect(endedOf(recorded)).toEqual(['1', '2', '3'])
})

test('a call that ends the turn waits for those beside it, and nothing after it is recorded', async () => {
  const { tools, running, named } = heldTools()
  const recorded = await recordedTurn({ task: 'go' })
  let hasEnded = false
  const run = runCalls(recorded.turn, tools, named(['read', 'read'])).finally(() => {
    hasEnded = true
  })
  const rejected = expect(run).rejects.toThrow('a bug')
  await expect.poll(() => running.size).toBe(2)

  running.get('1')?.end(new Error('a bug'))
  await Promise.resolve()
  expect(hasEnded).toBe(false)
  running.get('2')?.end()

  await rejected
  expect(endedOf(recorded)).toEqual([])
})

test('an idempotent call carries a key of its own, others none', async () => {
  const { tools, running, named } = heldTools()
  const { turn } = await recordedTurn({ task: 'go' })
  const run = runCalls(turn, tools, named(['idempotent', 'read', 'idempotent']))
  await expect.poll(() => running.size).toBe(3)

  const keys = ['1', '2', '3'].map((id) => running.get(id)?.context.idempotencyKey)
  for (const { end } of [...running.values()]) end()
  await run

  expect(keys).toEqual(['session_000_test:1:1', undefined, 'session_000_test:1:3'])
})

test.each<[EffectClass, EffectClass, boolean]>([
  ['read', 'read', true],
  ['idempotent', 'idempotent', true],
  ['once', 'once', false],
  // What a server says of its tool has changed meanwhile: the stricter word counts.
  ['once', 'read', false],
  ['read', 'once', false],
])('a call that began as %s and is %s now is repeated: %s', async (began, now, isRepeated) => {
  let runs = 0
  const tool: Tool = {
    spec: { name: 'it', description: '', parameters: {} },
    effectOf: () => now,
    run: async () => {
      runs += 1
      return { status: 'completed', result: {} }
    },
  }
  const recorded = await recordedTurn({ task: 'go' })

  await runCalls(recorded.turn, new Toolbox([tool]), [
    { callId: '1', name: 'it', input: {}, started: true, effect: began },
  ])

  const [end] = recorded.entries
  expect(runs).toBe(isRepeated ? 1 : 0)
  expect(end).toMatchObject({ outcome: isRepeated ? { status: 'completed' } : OUTCOME_UNKNOWN })
})

test.each([
  ['lets it run once more', undefined, 1],
  ['does not', { status: 'failed', error: 'A person said no.' } as const, 0],
])('an `ask` call that was interrupted is asked about anew, and a person %s', async (_what, answer, expected) => {
  let runs = 0
  const tool: Tool = {
    spec: { name: 'it', description: '', parameters: {} },
    effectOf: () => 'ask',
    run: async () => {
      runs += 1
      return { status: 'completed', result: {} }
    },
  }
  const asked: unknown[] = []
  const { turn } = await recordedTurn({
    task: 'go',
    permit: (call, effect, wasInterrupted) => {
      asked.push([call.callId, effect, wasInterrupted])
      return answer
    },
  })

  await runCalls(turn, new Toolbox([tool]), [{ callId: '1', name: 'it', input: {}, started: true, effect: 'ask' }])

  expect(asked).toEqual([['1', 'ask', true]])
  expect(runs).toBe(expected)
})

test('a crash at any entry of a round is continued: each call has one result, in order, and `once` ran once at most', async () => {
  const names = ['read', 'idempotent', 'once'] as const
  const calls: Call[] = names.map((name) => ({ callId: name, name, input: {} }))
  const asked: Entry[] = [
    { type: 'messageStarted', model: 'm' },
    { type: 'messageEnded', toolCalls: calls, finishReason: 'tool_calls', cost: 0, tokens: 0 },
  ]
  const runs: string[] = []
  const tools = new Toolbox(
    names.map((name) => ({
      spec: { name, description: '', parameters: {} },
      effectOf: () => name,
      run: async () => {
        runs.push(name)
        return { status: 'completed', result: {} }
      },
    })),
  )
  const crash = (after: number) => {
    let left = after
    return () => {
      if (left-- <= 0) throw new Error('the worker is gone')
    }
  }
  const ENTRIES = 6

  for (let recorded = 0; recorded < ENTRIES; recorded++) {
    runs.length = 0
    const first = await recordedTurn({ task: 'go', entries: asked, onEntry: crash(recorded) })
    await expect(runCalls(first.turn, tools, calls)).rejects.toThrow('the worker is gone')
    // What the crash kept from being written was not written.
    const second = await recordedTurn({ task: 'go', entries: first.entries.slice(0, asked.length + recorded) })
    await runCalls(second.turn, tools, second.turn.progress.openCalls)

    expect([recorded, endedOf(second)]).toEqual([recorded, names])
    expect(runs.filter((name) => name === 'once').length, `after ${recorded} entries`).toBeLessThanOrEqual(1)
    expect(runs.filter((name) => name === 'idempotent').length).toBeLessThanOrEqual(2)
  }
})
