/**
 * The examples for Node.js: compiled against the packed package, and run as programs.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { type Client, connect, type Position } from '../../src/client/client.js'
import { compiledExamples, type PackedExamples } from '../support/packed-examples.js'
import { type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const WAIT = { timeout: 30_000, interval: 20 } as const
const REPORT = 'Write a report after `cp /etc/hostname copied.txt`'

const folder = settingsFolder()
let examples: PackedExamples
let model: ScriptedModel
let running: RunningDaemon
let client: Client
let url: string

beforeAll(async () => {
  examples = await compiledExamples()
  model = await startScriptedModel()
  const charter = join(folder.path, 'charter.yaml')
  writeFileSync(charter, 'name: careful\nsafetyHeuristics: {requireConfirmation: [File modifications]}\n')
  running = await startWith(folder.path, {
    ...{ CHARTER_FILE: charter, OPENAI_API_KEY: 'k', OPENAI_BASE_URL: model.openaiUrl },
    DAEMON_RATE_LIMIT_MAX: '1000000',
  })
  url = `ws://127.0.0.1:${running.daemon.port}`
  client = await connect({ url })
}, 120_000)

afterAll(async () => {
  client?.close()
  await running?.stop()
  await model?.stop()
  examples?.remove()
  folder.remove()
})

interface Program {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
  output(): string
}

function run(name: string, ...args: readonly string[]): Program {
  const child = spawn(process.execPath, [examples.compiled(name), ...args], { env: { PATH: process.env.PATH } })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      text += data
    })
  }
  return { child, ended: once(child, 'close').then(([code, signal]) => code ?? signal), output: () => text }
}

test('stream-session shows the text and how the task ended', async () => {
  const program = run('node/stream-session', url, 'Count to 5')

  expect(await program.ended, program.output()).toBe(0)
  expect(program.output()).toContain(`${numberedWords(5)}\n`)
  expect(program.output()).toMatch(/task_completed after \d+ tokens\n$/)
})

test('resume-session goes on with the next character after it was killed', async () => {
  const task = JSON.stringify({ count: 60, bytes: 8, delayMs: 40 })
  const session = await client.spawn({ sessionType: 'echo', task })
  const position = join(folder.path, 'position.json')
  const first = run('node/resume-session', url, session.id, position)
  await vi.waitFor(() => expect(first.output().length).toBeGreaterThan(80), WAIT)
  first.child.kill('SIGKILL')
  await first.ended
  const { offset = 0 } = JSON.parse(readFileSync(position, 'utf8')) as Position
  const second = run('node/resume-session', url, session.id, position)

  expect(await second.ended, second.output()).toBe(0)
  const shown = first.output().slice(0, offset) + second.output()
  expect(offset).toBeGreaterThan(0)
  expect(shown.split(' ').map(Number.parseFloat)).toEqual([...Array.from({ length: 60 }, (_, i) => i + 1), Number.NaN])
})

test('approvals asks for each call that waits, and answers as the person does', async () => {
  const session = await client.spawn({ sessionType: 'llm', task: REPORT })
  const outcomes: string[] = []
  const reading = (async () => {
    for await (const message of session) {
      if (message.type === 'approval_resolved') outcomes.push(message.status)
      if (message.type.startsWith('task_') && message.type !== 'task_executing') break
    }
  })()
  for (const answer of ['y', 'n']) {
    await vi.waitFor(async () => expect((await client.approvals()).approvals).toHaveLength(1), WAIT)
    const program = run('node/approvals', url)
    await vi.waitFor(() => expect(program.output()).toContain('approve? [y/n] '), WAIT)
    program.child.stdin?.write(`${answer}\n`)
    await vi.waitFor(() => expect(program.output()).toContain(answer === 'y' ? 'approved' : 'rejected'), WAIT)
    program.child.kill()
    await program.ended
  }
  await session.stop()
  await reading

  expect(outcomes).toEqual(['approved', 'rejected'])
})

test('approvals ends at once where nothing waits', async () => {
  const program = run('node/approvals', url)

  expect(await program.ended, program.output()).toBe(0)
  expect(program.output()).toBe('nothing waits\n')
})
