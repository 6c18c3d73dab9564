/**
 * A worker loses its session in the middle of a turn, at every step, and another goes on from the log.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { costOf } from '../../src/budget/prices.js'
import { selectModel } from '../../src/models/select.js'
import { Echo } from '../../src/runtimes/echo.js'
import { LlmLoop } from '../../src/runtimes/llm-loop.js'
import type { Runtime, Turn } from '../../src/runtimes/runtime.js'
import { Runtimes } from '../../src/runtimes/select.js'
import { standardTools } from '../../src/runtimes/tools/toolbox.js'
import { DeadLetters } from '../../src/storage/dead-letters.js'
import { WorkerCluster } from '../support/worker-cluster.js'

const COUNT = 200
let model: ScriptedModel

beforeAll(async () => {
  model = await startScriptedModel({ tokensPerSecond: 60 })
})
afterAll(() => model.stop())

function llm(): Runtime {
  const select = () =>
    selectModel({
      openaiModel: 'scripted',
      anthropicModel: 'unused',
      openaiApiKey: 'k',
      openaiBaseUrl: model.openaiUrl,
    })
  return new LlmLoop({ selectModel: select, costOf, tools: standardTools() })
}

test('W-35, D-11: an answer that was cut goes on where the client saw it end, each number once', async () => {
  const runtime = llm()
  const cluster = await WorkerCluster.start({ runtimeOf: () => runtime })
  const first = await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: `Count to ${COUNT}` })
  await session.textBegins()
  const second = await cluster.takeOver('worker-2')

  const done = await session.event('task_completed')

  const end = await session.event('stream_end')
  const takeover = await session.event('session_takeover')
  expect(takeover).toMatchObject({ fromWorker: first.id, worker: second.id, attempt: 1 })
  expect(end.text).toBe(numberedWords(COUNT))
  expect(session.texts.get(end.messageId)).toBe(end.text)
  expect(done.result.output).toBe(end.text)
  expect(session.events.filter(({ type }) => type === 'stream_start')).toHaveLength(1)
})

test('D-11: a turn that is taken over twice is finished by the third owner', async () => {
  const runtime = llm()
  const cluster = await WorkerCluster.start({ runtimeOf: () => runtime })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: `Count to ${COUNT}` })
  for (let owner = 2; owner <= 3; owner++) {
    const before = [...session.texts.values()].join('').length
    await session.textBegins()
    await expect.poll(() => [...session.texts.values()].join('').length, { timeout: 10_000 }).toBeGreaterThan(before)
    await cluster.takeOver(`worker-${owner}`)
    await session.event('session_takeover', owner - 2)
  }

  await session.event('task_completed')

  const end = await session.event('stream_end')
  expect(end.text).toBe(numberedWords(COUNT))
  expect(session.texts.get(end.messageId)).toBe(end.text)
})

test('a task whose every owner is lost at the same step is set aside after three attempts', async () => {
  const hanging: Runtime = { run: hang }
  const cluster = await WorkerCluster.start({ runtimeOf: () => hanging })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'poison' })
  await session.event('task_executing')
  for (let owner = 2; owner <= 4; owner++) {
    await cluster.takeOver(`worker-${owner}`)
    await session.event('session_takeover', owner - 2)
  }

  const failed = await session.event('task_failed')
  const letters = await new DeadLetters(cluster.database).list('acme', 10)
  expect(failed.code).toBe('quarantined')
  expect(letters).toMatchObject([{ sessionId: session.id, attempts: 3 }])
})

test('a harmless command beside one that kills its workers is not set aside with it', async () => {
  // The poison is whoever goes first: it never gets further than its beginning, and its worker is lost then.
  const hanging: Runtime = { run: hang }
  const cluster = await WorkerCluster.start({ runtimeOf: () => hanging })
  await cluster.takeOver('worker-1')
  const both = [await cluster.spawn('llm', { description: 'one' }), await cluster.spawn('llm', { description: 'two' })]
  await Promise.all(both.map((session) => session.event('task_executing')))
  await cluster.takeOver('worker-2')
  await Promise.all(both.map((session) => session.event('session_takeover')))

  await cluster.takeOver('worker-3')
  const poison = await Promise.race(both.map((session) => session.event('session_takeover', 1).then(() => session)))
  await cluster.takeOver('worker-4')
  const failed = await poison.event('task_failed')
  const harmless = both.find((session) => session !== poison)
  const takeover = await harmless?.event('session_takeover', 1)

  expect(failed.code).toBe('quarantined')
  expect(takeover).toMatchObject({ attempt: 2 })
  expect(harmless?.events.some(({ type }) => type === 'task_failed')).toBe(false)
})

test('an orderly hand-over does not count as an attempt', async () => {
  const hanging: Runtime = { run: hang }
  const cluster = await WorkerCluster.start({ runtimeOf: () => hanging })
  const first = await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'patient' })
  await session.event('task_executing')
  await cluster.drainFirst()
  await cluster.leave(first.id)
  await cluster.takeOver('worker-2')

  const takeover = await session.event('session_takeover')

  expect(takeover.attempt).toBe(0)
})

test('the next owner finds the files that the last recorded tool left, and nothing else', async () => {
  let release: () => void = () => {}
  const blocked = new Promise<void>((resolve) => {
    release = resolve
  })
  const writing = writeThenWait(blocked)
  const cluster = await WorkerCluster.start({ runtimeOf: () => writing })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'write' })
  await session.event('tool_call_result')
  const workspace = join(cluster.root, 'worker-2', session.id)
  await mkdir(workspace, { recursive: true })
  await writeFile(join(workspace, 'stray.txt'), 'left by a tool that was never recorded')
  await cluster.takeOver('worker-2')
  await session.event('session_takeover')
  release()
  await session.event('task_completed')

  expect(await readdir(workspace)).toEqual(['report.txt'])
  expect(await readFile(join(workspace, 'report.txt'), 'utf8')).toBe('written once')
})

test('a worker without acknowledged beats starts no effect, and goes on when they are back', async () => {
  const kinds = new Runtimes({ llm: llm(), echo: new Echo() })
  const cluster = await WorkerCluster.start({ runtimeOf: (type) => kinds.of(type) })
  const worker = await cluster.takeOver('worker-1')
  worker.healthy = false
  const before = model.requests().length
  const session = await cluster.spawn('llm', { description: 'Count to 5' })
  await session.event('session_takeover')
  const during = model.requests().length
  worker.healthy = true

  await session.event('task_completed')

  expect(during).toBe(before)
  expect(model.requests().length).toBe(before + 1)
})

test('a runtime that does not let go costs its session a reload, and the session is stopped all the same', async () => {
  const deaf: Runtime = { run: () => new Promise(() => {}) }
  const cluster = await WorkerCluster.start({ runtimeOf: () => deaf })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'deaf' })
  await session.event('task_executing')

  await session.control('stop')

  const update = await session.event('session_status_update')
  expect(update.session.status).toBe('terminated')
})

/** Begins a message and never ends it. */
async function hang(turn: Turn): Promise<never> {
  if (!turn.progress.openMessage) await turn.journal.messageStarted('none')
  turn.signal.throwIfAborted()
  return await new Promise((_, reject) => turn.signal.addEventListener('abort', () => reject(turn.signal.reason)))
}

/** One recorded tool call that writes a file; then waits for `go`. */
const writeThenWait = (go: Promise<void>): Runtime => ({
  run: async (turn) => {
    const call = { callId: 'call-1', name: 'file_write', input: { path: 'report.txt', content: 'written once' } }
    if (turn.progress.steps === 0) {
      await turn.journal.messageStarted('none')
      const usage = { promptTokens: 1, completionTokens: 1 }
      await turn.journal.messageEnded({ toolCalls: [call], finishReason: 'tool_calls', usage, cost: 0 })
      await turn.journal.toolStarted(call, 'idempotent')
      const outcome = await standardTools().run(call, turn)
      await turn.journal.toolEnded(call, outcome)
    }
    await go
    return { output: 'done' }
  },
})
