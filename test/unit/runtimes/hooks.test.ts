/**
 * Hooks of the operator: real commands that run around tool calls.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
import { parseHooks } from '../../../src/runtimes/hooks/hook-file.js'
import { CommandHooks, type HookedCall } from '../../../src/runtimes/hooks/hooks.js'
import type { ToolOutcome } from '../../../src/runtimes/runtime.js'
import type { PluginRun } from '../../../src/telemetry/metrics.js'
import { temporaryWorkspace } from '../tools/tool-call.js'

let workspace: string
const warn = vi.fn()
beforeEach(async () => {
  warn.mockClear()
  workspace = await temporaryWorkspace()
})

type Event = 'PreToolUse' | 'PostToolUse'
const DONE: ToolOutcome = { status: 'completed', result: { exitCode: 0 } }
const never = () => new AbortController().signal

/** Hooks with these commands, in this order; `more` is added to each. */
function hooksOf(event: Event, commands: readonly string[], more: object = {}, matcher?: string): CommandHooks {
  const group = { ...(matcher !== undefined && { matcher }), hooks: commands.map((command) => ({ command, ...more })) }
  const hooks = parseHooks(JSON.stringify({ hooks: { [event]: [group] } }), 'hooks.json')
  return new CommandHooks({ hooks, sandbox: [], log: { warn } })
}

const use = (name = 'bash_execute'): HookedCall => ({
  ...{ sessionId: 'session_000_test', taskId: 'task-1', workspace },
  call: { callId: 'call-1', name, input: { command: 'make deploy' } },
})
const before = (command: string, more: object = {}) => hooksOf('PreToolUse', [command], more).before(use(), never())
const after = (command: string, outcome: ToolOutcome = DONE, more: object = {}) =>
  hooksOf('PostToolUse', [command], more).after(use(), outcome, never())
const seen = (file: string): Promise<string> => readFile(join(workspace, file), 'utf8')

test('each hook that ran is told of by its program and event, with what went wrong and without its arguments', async () => {
  const ran: PluginRun[] = []
  const groups = [
    { hooks: ['/bin/true --token=secret', 'exit 3'].map((command) => ({ command, onFailure: 'ignore' })) },
  ]
  const late = [{ hooks: [{ command: 'sleep 5', timeout: 0.1 }] }]
  const hooks = parseHooks(JSON.stringify({ hooks: { PreToolUse: groups, PostToolUse: late } }), 'hooks.json')
  const told = new CommandHooks({ hooks, sandbox: [], log: { warn }, onRan: (run) => ran.push(run) })

  await told.before(use(), never())
  await told.after(use(), DONE, never())

  expect(ran.map(({ name, use, error }) => [name, use, error])).toEqual([
    ['true', 'PreToolUse', undefined],
    ['exit', 'PreToolUse', 'failed'],
    ['sleep', 'PostToolUse', 'timeout'],
  ])
  expect(ran[2]?.seconds).toBeGreaterThanOrEqual(0.09)
})

test('a hook that ends with 0 has no objection, whatever it prints', async () => {
  expect(await before('cat > /dev/null; echo all is well; echo "{ not JSON"')).toEqual({ decision: 'allow' })
  expect(warn).not.toHaveBeenCalled()
})

test('G-09: a hook that ends with 2 refuses the call, and its stderr is the reason', async () => {
  expect(await before('echo "not on a Friday" >&2; exit 2')).toEqual({
    decision: 'deny',
    reason: expect.stringMatching(/refused the call: not on a Friday\. Do not try it another way/),
    rule: 'PreToolUse: echo "not on a Friday" >&2; exit 2',
  })
})

test.each([
  ['{"decision":"block","reason":"R"}', 'deny'],
  ['{"hookSpecificOutput":{"permissionDecision":"deny","permissionDecisionReason":"R"}}', 'deny'],
  ['{"hookSpecificOutput":{"permissionDecision":"ask","permissionDecisionReason":"R"}}', 'ask'],
  ['{"hookSpecificOutput":{"permissionDecision":"allow"}}', 'allow'],
  ['{"decision":"approve"}', 'allow'],
  ['{"unknown":1}', 'allow'],
])('the answer %s is %s', async (json, decision) => {
  const verdict = await before(`printf '%s' '${json}'`)

  expect(verdict.decision).toBe(decision)
  if (verdict.decision !== 'allow') expect(verdict.reason).toContain('R')
})

test('it is told of the call on stdin, and runs in the workspace with nothing of the daemon in its environment', async () => {
  vi.stubEnv('OPENAI_API_KEY', 'sk-secret')

  await before('cat > told.json; env > environment; pwd > where')

  expect(JSON.parse(await seen('told.json'))).toEqual({
    ...{ hook_event_name: 'PreToolUse', session_id: 'session_000_test', task_id: 'task-1', cwd: workspace },
    ...{ tool_name: 'bash_execute', tool_input: { command: 'make deploy' }, tool_use_id: 'call-1' },
  })
  expect((await seen('where')).trim()).toBe(workspace)
  const names = (await seen('environment')).split('\n').map((line) => line.split('=')[0])
  expect(await seen('environment')).not.toContain('sk-secret')
  expect(names).toEqual(expect.arrayContaining(['HOME', 'PATH', 'TMPDIR']))
  expect(names.filter((name) => /KEY|TOKEN|SECRET|URL|PASSWORD/.test(name ?? ''))).toEqual([])
  vi.unstubAllEnvs()
})

test.each([
  ['crashes', 'exit 7', {}, /ended with exit code 7/],
  ['is no program', '/no/such/program', {}, /ended with exit code 127/],
  ['takes too long', 'sleep 60', { timeout: 0.3 }, /took longer than 300 ms/],
])('one that %s keeps the call from running, unless it is to be passed over', async (_what, command, more, why) => {
  const verdict = await before(command, more)
  const passedOver = await before(command, { ...more, onFailure: 'ignore' })

  expect(verdict).toMatchObject({ decision: 'deny', reason: expect.stringMatching(why) })
  expect(passedOver).toEqual({ decision: 'allow' })
  expect(warn).toHaveBeenCalledTimes(2)
})

test('one that takes too long ends with everything that it has begun', async () => {
  await before('(while :; do echo tick >> ticks; sleep 0.05; done) & wait', { timeout: 2 })

  // A tick that was on its way when it was killed may still be written.
  await vi.waitFor(async () => {
    const then = (await seen('ticks')).length
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect((await seen('ticks')).length).toBe(then)
  })
})

test('a turn that ends does not wait for its hooks', async () => {
  const ending = new AbortController()
  const hooks = hooksOf('PreToolUse', ['echo begun > begun; sleep 60'], { timeout: 60 })
  const judged = hooks.before(use(), ending.signal)
  judged.catch(() => undefined)
  await vi.waitFor(() => seen('begun'))

  ending.abort(new Error('cancelled'))

  await expect(judged).rejects.toThrow('cancelled')
})

test('of several the first that refuses decides, and a refusal outweighs a question', async () => {
  const ask = `echo '{"hookSpecificOutput":{"permissionDecision":"ask"}}'`
  const hooks = hooksOf('PreToolUse', [ask, 'exit 2', 'touch third'])

  expect((await hooks.before(use(), never())).decision).toBe('deny')
  await expect(seen('third')).rejects.toThrow('ENOENT')
  expect((await hooksOf('PreToolUse', [ask, 'true']).before(use(), never())).decision).toBe('ask')
})

test('after a call a hook is told of the outcome and may add a word for the model', async () => {
  const outcome = await after('cat > told.json; echo "lint: 2 errors" >&2; exit 2')

  expect(outcome).toEqual({ ...DONE, note: 'lint: 2 errors' })
  expect(JSON.parse(await seen('told.json'))).toMatchObject({
    ...{ hook_event_name: 'PostToolUse', tool_response: { exitCode: 0 } },
  })
})

test.each([
  [`echo '{"hookSpecificOutput":{"additionalContext":"tests pass"}}'`, 'tests pass'],
  ['true', undefined],
  ['exit 1', undefined],
])('after a call %s adds %s', async (command, note) => {
  const failed: ToolOutcome = { status: 'failed', error: 'no' }

  expect(await after(command, failed)).toEqual(note === undefined ? failed : { ...failed, note })
})

test('nothing runs for tools that no hook is for', async () => {
  const [pre, post] = [hooksOf('PreToolUse', ['exit 2'], {}, 'Write'), hooksOf('PostToolUse', ['exit 2'], {}, 'Write')]

  expect(await pre.before(use(), never())).toEqual({ decision: 'allow' })
  expect(await post.after(use(), DONE, never())).toBeUndefined()
})

test.each([
  ['Bash', 'Bash', true],
  ['Bash', 'BashOutput', false],
  ['Edit|Write', 'Write', true],
  ['Edit | Write', 'Edit', true],
  ['mcp__github__*', 'mcp__github__create_issue', true],
  ['mcp__github__.*', 'mcp__github__create_issue', true],
  ['mcp__*', 'bash_execute', false],
  ['*', 'anything', true],
  ['', 'anything', true],
  ['file.read', 'file_read', false],
])('the matcher %j and the tool %s: %s', (matcher, tool, fits) => {
  const [hook] = parseHooks(JSON.stringify({ hooks: { PreToolUse: [{ matcher, hooks: [{ command: 'x' }] }] } }), 'f')

  expect(hook?.fits(tool)).toBe(fits)
})

test.each([
  ['hooks: {PreToolUse: [{hooks: [{command: x, timeout: soon}]}]}', /^hooks\.PreToolUse\.0\.hooks\.0\.timeout: /],
  ['hooks: {PreToolUse: [{hooks: [{type: prompt, command: x}]}]}', /^hooks\.PreToolUse\.0\.hooks\.0\.type: /],
  ['hooks: {Stop: [{hooks: [{command: x}]}]}', /^hooks/],
  ['hooks: {PreToolUse: [{matcher: Bash, hooks: []}]}', /^hooks\.PreToolUse\.0\.hooks: /],
  ['hooks: {PreToolUse: [{hooks: [{command: x, color: red}]}]}', /^hooks\.PreToolUse\.0\.hooks\.0: .*color/],
  ['rules: []', /hooks/],
  ['hooks: {', /./],
])('a file that says %s is refused with file and field', (text, mistake) => {
  const read = () => parseHooks(text, 'hooks.yaml')

  expect(read).toThrow(/hooks\.yaml: /)
  try {
    read()
  } catch (error) {
    expect((error as { mistakes: string[] }).mistakes[0]?.replace('hooks.yaml: ', '')).toMatch(mistake)
  }
})

test('a file of the settings of Claude Code is read as it is', async () => {
  await writeFile(
    join(workspace, 'settings.json'),
    '{"hooks":{"PreToolUse":[{"matcher":"Bash","hooks":[{"type":"command","command":"./check.sh","timeout":5}]}]}}',
  )

  const hooks = parseHooks(await seen('settings.json'), 'settings.json')

  expect(hooks).toMatchObject([{ event: 'PreToolUse', command: './check.sh', timeoutMs: 5_000, onFailure: 'block' }])
})
