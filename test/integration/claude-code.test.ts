/**
 * Sessions of type claude-code: the real program, with its files, its tools and its process.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import type { ToolCallResult } from '../../src/protocol/events.js'
import type { LoadSdk } from '../../src/runtimes/claude/sdk.js'
import type { Gate, ToolUse } from '../../src/runtimes/gate.js'
import { parseHooks } from '../../src/runtimes/hooks/hook-file.js'
import { CommandHooks } from '../../src/runtimes/hooks/hooks.js'
import { silentLog } from '../../src/telemetry/log.js'
import { claudeCluster } from '../support/claude-cluster.js'
import type { Asked, Says } from '../support/claude-vendor.js'

/** `do <tool> <input as JSON>` calls a tool, and its result ends the task; anything else is answered with one sentence. */
function script({ last, isToolResult }: Asked): Says {
  if (isToolResult) return { text: 'The tool has answered.' }
  const wanted = /do (\w+) (\{.*\})/.exec(last)
  if (wanted?.[1] && wanted[2]) {
    const json = wanted[2].replaceAll('\\"', '"')
    return { text: 'I will do that.', calls: [{ name: wanted[1], input: JSON.parse(json) as object }] }
  }
  if (last.includes('Count slowly')) return { text: Array.from({ length: 400 }, (_, n) => `n${n}`).join(' ') }
  return { text: 'All done, friend.' }
}

const resultOf = (event: ToolCallResult) => event.data.result as { readonly stdout?: string }

test('X-02: a task is carried out by a tool in the workspace, and told as text, calls and figures', async () => {
  const { cluster, vendor } = await claudeCluster(script)
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', {
    description: 'do Bash {"command":"echo hello > made.txt; cat made.txt; env","description":"x"}',
  })

  const done = await session.event('task_completed')

  expect(done.result.output).toBe('The tool has answered.')
  expect(session.events.map(({ type }) => type)).toEqual([
    'session_spawned',
    'task_executing',
    'stream_start',
    'stream_end',
    'tool_call_start',
    'tool_call_result',
    'stream_start',
    'stream_end',
    'task_completed',
  ])
  const first = await session.event('stream_end')
  expect(first).toMatchObject({ text: 'I will do that.', finishReason: 'tool_calls' })
  expect(session.texts.get(first.messageId)).toBe('I will do that.')
  expect(first.metadata).toMatchObject({ promptTokens: 20, completionTokens: 5 })
  expect(first.metadata.cost).toBeGreaterThan(0)
  expect(done.usage).toMatchObject({ promptTokens: 40, completionTokens: 10 })
  const started = await session.event('tool_call_start')
  expect(started.data).toMatchObject({ toolName: 'Bash', effect: 'once' })
  const { stdout } = resultOf(await session.event('tool_call_result'))
  expect(stdout).toMatch(/^hello/)
  expect(stdout).not.toContain('sk-vendor')
  expect((await cluster.workspaces.load(session.id)).map(({ path }) => path)).toEqual(['made.txt'])
  expect(new Set(vendor.requests.map(({ line, key }) => `${line} ${key}`))).toEqual(
    new Set(['POST /v1/messages sk-vendor']),
  )
})

test('the second task is taken up by the same process', async () => {
  const { cluster, vendor, sessions } = await claudeCluster(script)
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'first words' })
  await session.event('task_completed')
  const before = sessions.pids()

  await session.execute({ description: 'second words' })
  await session.event('task_completed', 1)

  expect(before).toHaveLength(1)
  expect(sessions.pids()).toEqual(before)
  expect(vendor.asked.at(-1)?.all).toContain('first words')
  expect(vendor.asked.at(-1)?.last).toContain('second words')
})

test('a session that has ended keeps no process', async () => {
  const { cluster, sessions } = await claudeCluster(script)
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'first words' })
  await session.event('task_completed')
  expect(sessions.pids()).toHaveLength(1)

  await session.control('stop')

  await vi.waitFor(() => expect(sessions.pids()).toEqual([]), { timeout: 30_000 })
})

test('a cancelled task stops at once, and its process takes the next one', async () => {
  const { cluster, sessions } = await claudeCluster(script, { tokensPerSecond: 10 })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'Count slowly' })
  await session.textBegins()
  const before = sessions.pids()

  const askedAt = performance.now()
  await session.control('cancel')
  await session.event('task_cancelled')
  const tookMs = performance.now() - askedAt
  await session.execute({ description: 'next' })
  const done = await session.event('task_completed')

  // The words of the answer alone would take forty seconds.
  expect(tookMs).toBeLessThan(20_000)
  expect(await session.event('stream_end')).toMatchObject({ finishReason: 'cancelled' })
  expect(done.result.output).toBe('All done, friend.')
  expect(sessions.pids()).toEqual(before)
})

test('a command that runs ends with the task that is cancelled', async () => {
  const { cluster } = await claudeCluster(script)
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', {
    description: 'do Bash {"command":"while :; do date >> ticks.txt; sleep 0.1; done","description":"x"}',
  })
  await session.event('tool_call_start')
  const ticks = join(cluster.root, 'worker-1', session.id, 'ticks.txt')
  await vi.waitFor(() => readFile(ticks), { timeout: 30_000 })

  await session.control('cancel')
  await session.event('task_cancelled')

  // A tick that was being written is still written.
  await vi.waitFor(async () => {
    const after = (await readFile(ticks, 'utf8')).length
    await sleep(500)
    expect((await readFile(ticks, 'utf8')).length).toBe(after)
  })
})

test('files outside of the workspace are not read, and the model is told', async () => {
  const { cluster, vendor } = await claudeCluster(script)
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'do Read {"file_path":"/etc/hostname"}' })
  await session.event('task_completed')

  const { data } = await session.event('tool_call_result')
  expect(data).toMatchObject({ status: 'failed', error: expect.stringContaining('leads out of the workspace') })
  expect(vendor.asked.at(-1)?.last).toContain('leads out of the workspace')
})

test('a call that the charter denies does not run, and the model hears why', async () => {
  const judged: ToolUse[] = []
  const gate: Gate = {
    judge: (use) => {
      judged.push(use)
      return { decision: 'deny', reason: 'The charter says no.', rule: 'test' }
    },
  }
  const { cluster, vendor } = await claudeCluster(script, { worker: { gate } })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', {
    description: 'do Bash {"command":"touch denied.txt","description":"x"}',
  })
  await session.event('task_completed')

  const workspace = join(cluster.root, 'worker-1', session.id)
  expect(judged).toEqual([{ tool: 'Bash', input: { command: 'touch denied.txt', description: 'x' }, workspace }])
  expect((await session.event('tool_call_result')).data).toMatchObject({
    status: 'failed',
    error: 'The charter says no.',
  })
  expect(vendor.asked.at(-1)?.last).toContain('The charter says no.')
  expect(await readdir(workspace)).toEqual([])
})

test('hooks of the service run around the tools of Claude Code, and their words reach its model', async () => {
  const file = JSON.stringify({
    hooks: {
      PreToolUse: [
        { matcher: 'Bash', hooks: [{ command: `grep -q forbidden && { echo "not that" >&2; exit 2; }; true` }] },
      ],
      PostToolUse: [
        { matcher: 'Bash', hooks: [{ command: 'echo formatted > by-hook.txt; echo "well done" >&2; exit 2' }] },
      ],
    },
  })
  const hooks = new CommandHooks({ hooks: parseHooks(file, 'hooks.json'), sandbox: [], log: silentLog })
  const { cluster, vendor } = await claudeCluster(script, { worker: { hooks } })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'do Bash {"command":"true","description":"x"}' })
  await session.event('task_completed')
  const afterwards = vendor.asked.at(-1)?.all ?? ''

  await session.execute({ description: 'do Bash {"command":"echo forbidden","description":"x"}' })
  await session.event('task_completed', 1)

  expect((await session.event('tool_call_result')).data).toMatchObject({ status: 'completed', note: 'well done' })
  expect(afterwards).toContain('A hook of this service adds: well done')
  expect((await cluster.workspaces.load(session.id)).map(({ path }) => path)).toEqual(['by-hook.txt'])
  expect((await session.event('tool_call_result', 1)).data.error).toContain('not that')
  expect(vendor.asked.at(-1)?.last).toContain('not that')
})

test('an answer that another worker takes over goes on after what clients have seen, with the conversation', async () => {
  const { cluster, vendor } = await claudeCluster(
    (asked) => {
      if (asked.last.includes('Continue exactly after its last character')) return { text: ' and the rest.' }
      return script(asked)
    },
    { tokensPerSecond: 50 },
  )
  const first = await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'remember the word quince' })
  await session.event('task_completed')
  await session.execute({ description: 'Count slowly' })
  await session.event('stream_start', 1)
  await vi.waitFor(() => expect([...session.texts.values()].at(-1)).toMatch(/n3/), { timeout: 30_000 })
  const second = await cluster.takeOver('worker-2')

  const done = await session.event('task_completed', 1)

  const end = await session.event('stream_end', 1)
  expect(await session.event('session_takeover')).toMatchObject({ fromWorker: first.id, worker: second.id })
  expect(end.text).toMatch(/^n0 n1 n2 n3.* and the rest\.$/)
  expect(session.texts.get(end.messageId)).toBe(end.text)
  expect(done.result.output).toBe(end.text)
  expect(vendor.asked.at(-1)?.all).toContain('quince')
})

test('a command that was under way when its worker was lost is not run again, and its files are as recorded', async () => {
  const { cluster, vendor } = await claudeCluster((asked) => {
    if (asked.last.includes('outcome is unknown')) return { text: 'I have seen it.' }
    if (asked.last.includes('Begin')) {
      const command = 'echo kept > kept.txt'
      return { calls: [{ name: 'Bash', input: { command, description: 'x' } }] }
    }
    if (asked.isToolResult) {
      const command = 'echo lost > lost.txt; pwd >> ../../runs; sleep 60'
      return { calls: [{ name: 'Bash', input: { command, description: 'x' } }] }
    }
    return { text: 'what?' }
  })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'Begin' })
  await session.event('tool_call_start', 1)
  const runs = join(cluster.root, 'runs')
  await vi.waitFor(() => readFile(runs), { timeout: 30_000 })
  await cluster.takeOver('worker-2')

  const done = await session.event('task_completed')

  expect(done.result.output).toBe('I have seen it.')
  expect((await session.event('tool_call_result', 1)).data.error).toMatch(/outcome is unknown/)
  expect((await readFile(runs, 'utf8')).trim().split('\n')).toHaveLength(1)
  expect(await readdir(join(cluster.root, 'worker-2', session.id))).toEqual(['kept.txt'])
  expect(vendor.asked.at(-1)?.last).toContain('lost.txt')
})

const refusing = (status: number, type: string) => (asked: Asked) =>
  asked.last.includes('again') ? script(asked) : { fail: { status, type, message: 'the vendor says no: sk-ven…dor' } }

test.each([
  ['an unknown model', refusing(404, 'not_found_error'), 'model_invalid_request', /selected model/],
  [
    'a refused key',
    refusing(401, 'authentication_error'),
    'model_auth',
    /^Anthropic Authentication Error: [^:]*HTTP 401/,
  ],
  [
    'a request that the vendor does not take',
    refusing(400, 'invalid_request_error'),
    'model_invalid_request',
    /says no/,
  ],
])('%s ends the task visibly, and the session takes the next one', async (_what, vendorScript, code, error) => {
  const { cluster } = await claudeCluster(vendorScript)
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'try' })

  expect(await session.event('task_failed')).toMatchObject({ code, error: expect.stringMatching(error) })

  await session.execute({ description: 'try again' })
  expect((await session.event('task_completed')).result.output).toBe('All done, friend.')
})

test('a dead vendor ends the task visibly', async () => {
  const { cluster } = await claudeCluster(script, { parts: { baseUrl: 'http://127.0.0.1:9' } })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'try' })
  const failed = await session.event('task_failed')
  expect(failed).toMatchObject({ code: 'model_network', error: expect.stringMatching(/ECONNREFUSED/) })
})

test('without a key no process is started, and the task says what is missing', async () => {
  const { cluster, sessions } = await claudeCluster(script, { parts: { apiKey: undefined, baseUrl: undefined } })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'try' })
  const failed = await session.event('task_failed')
  expect(failed).toMatchObject({ code: 'anthropic_key_missing', error: 'Anthropic API key is required' })
  expect(sessions.pids()).toEqual([])
})

test.each([
  [
    'the SDK',
    () => import('no-such-package' as string),
    /install Claude Code: npm install @anthropic-ai\/claude-agent-sdk@/,
  ],
  [
    'its program',
    async () => ({
      query: () => {
        throw new Error('Native CLI binary for linux-x64 not found.')
      },
    }),
    /--omit=optional: npm install @anthropic-ai/,
  ],
])('where %s is not installed the task names the command that installs it', async (_what, load, error) => {
  const { cluster } = await claudeCluster(script, { parts: { loadSdk: load as LoadSdk } })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'try' })
  expect(await session.event('task_failed')).toMatchObject({
    code: 'runtime_missing',
    error: expect.stringMatching(error),
  })
})

test('a process that is killed fails its task, and the next one has the conversation', async () => {
  const { cluster, sessions, vendor } = await claudeCluster(script, { tokensPerSecond: 50 })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'remember quince' })
  await session.event('task_completed')
  await session.execute({ description: 'Count slowly' })
  await session.event('stream_start', 1)

  process.kill(-(sessions.pids()[0] ?? 0), 'SIGKILL')

  expect(await session.event('task_failed')).toMatchObject({ code: 'runtime_failed' })
  await session.execute({ description: 'go on' })
  await session.event('task_completed', 1)
  expect(vendor.asked.at(-1)?.all).toContain('quince')
})
