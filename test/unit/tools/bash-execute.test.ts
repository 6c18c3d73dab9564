import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
import { BoundedOutput } from '../../../src/runtimes/tools/bounded-output.js'
import { detectSandbox } from '../../../src/runtimes/tools/sandbox.js'
import { standardTools } from '../../../src/runtimes/tools/toolbox.js'
import { caller, temporaryWorkspace } from './tool-call.js'

let workspace: string
beforeEach(async () => {
  workspace = await temporaryWorkspace()
})
const bash = (command: string, more: Record<string, unknown> = {}) =>
  caller(workspace).result('bash_execute', { command, ...more })

test('TOOLS: output and exit code come back; a non-zero exit is a result', async () => {
  expect(await bash('echo out; echo err >&2; exit 3')).toEqual({
    stdout: 'out\n',
    stderr: 'err\n',
    exitCode: 3,
    command: 'echo out; echo err >&2; exit 3',
  })
})

test('the command runs in the workspace, or in a directory of it', async () => {
  await bash('mkdir -p sub && echo text > sub/file')
  expect(await bash('cat file', { cwd: 'sub' })).toMatchObject({ stdout: 'text\n', exitCode: 0 })
})

test('the command sees an allow-list of the environment, none of our secrets', async () => {
  vi.stubEnv('OPENAI_API_KEY', 'sk-secret')
  vi.stubEnv('DATABASE_URL', 'postgres://secret')
  vi.stubEnv('NODE_OPTIONS', '--no-warnings')

  const { stdout } = await bash('env')

  const names = String(stdout)
    .split('\n')
    .map((line) => line.split('=')[0])
    .filter(Boolean)
    .sort()
  const ownOfBash = ['OLDPWD', 'PWD', 'SHLVL', '_']
  expect(names.filter((name) => !ownOfBash.includes(name ?? ''))).toEqual([
    'GIT_TERMINAL_PROMPT',
    'HOME',
    'LANG',
    'NO_COLOR',
    'PATH',
    'TERM',
    'TMPDIR',
  ])
  expect(stdout).not.toContain('secret')
  expect(stdout).toContain(`HOME=${workspace}`)
  vi.unstubAllEnvs()
})

/** Looks for a process of this machine, by what stands in its command line, where commands cannot see each other's. */
const PROBE = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"

test('where the kernel grants a namespace, a command sees no process but its own and ends with it', async () => {
  const sandbox = await detectSandbox()
  const marker = `${process.pid}_${Date.now()}`
  const run = caller(workspace, standardTools({ sandbox }))
  const abort = new AbortController()
  const other = caller(workspace, standardTools(), abort.signal)
  const beside = other.outcome('bash_execute', { command: `: ${marker}; echo $$ > beside; sleep 60; :` })
  await written('beside')

  const result = await run.result('bash_execute', { command: `${PROBE}; exit 5` })

  expect(result.exitCode).toBe(5)
  expect(String(result.stdout).includes(marker)).toBe(sandbox.length === 0)
  abort.abort()
  await expect(beside).rejects.toMatchObject({ name: 'AbortError' })
})

test('cancelling ends a command in a namespace, where there is one also what left the process group', async () => {
  const abort = new AbortController()
  const sandbox = await detectSandbox()
  const tools = standardTools({ sandbox })
  const marker = `marker_${process.pid}_${Date.now()}`
  const command = `${sandbox.length > 0 ? 'setsid' : ''} bash -c ': ${marker}; while :; do sleep 0.1; done' & echo 1 > ready; wait`
  const run = caller(workspace, tools, abort.signal).outcome('bash_execute', { command, timeout: 60_000 })
  await written('ready')

  abort.abort()

  await expect(run).rejects.toMatchObject({ name: 'AbortError' })
  const seen = await caller(workspace).result('bash_execute', { command: PROBE })
  expect(seen.stdout).not.toContain(`: ${marker};`)
}, 15_000)

test('stdin is closed, so a command that asks gets the end of input', async () => {
  expect(await bash('cat; echo done')).toMatchObject({ stdout: 'done\n', exitCode: 0 })
})

/** Processes whose id a command wrote to `file` in the workspace. */
async function isAlive(file: string): Promise<boolean> {
  const pid = Number(await readFile(join(workspace, file), 'utf8'))
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  // A zombie still answers to a signal; it runs no more.
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  return !status.includes(') Z')
}

const written = (file: string) =>
  expect.poll(() => readFile(join(workspace, file), 'utf8').catch(() => ''), { timeout: 20_000 }).toMatch(/\d+\n/)

test('cancelling ends the whole process group, also what ignores SIGTERM', async () => {
  const abort = new AbortController()
  const tools = standardTools()
  const command = `(trap '' TERM; echo $BASHPID > stubborn; while :; do sleep 0.1; done) & sleep 60 & echo $! > sleeper; echo $$ > leader; wait`
  const run = caller(workspace, tools, abort.signal).outcome('bash_execute', { command, timeout: 60_000 })
  await Promise.all(['stubborn', 'sleeper', 'leader'].map(written))

  abort.abort()

  await expect(run).rejects.toMatchObject({ name: 'AbortError' })
  for (const file of ['stubborn', 'sleeper', 'leader']) expect([file, await isAlive(file)]).toEqual([file, false])
}, 15_000)

test('a command that takes too long is stopped; what it said so far is kept', async () => {
  const started = performance.now()
  const result = await bash('echo first; sleep 60 & echo $! > sleeper; wait', { timeout: 300 })
  expect(result).toMatchObject({ stdout: 'first\n', exitCode: 124, timedOut: true })
  expect(performance.now() - started).toBeLessThan(10_000)
  expect(await isAlive('sleeper')).toBe(false)
})

test('what a command leaves in the background ends with it', async () => {
  expect(await bash('sleep 60 & echo $! > sleeper; echo done')).toMatchObject({ stdout: 'done\n', exitCode: 0 })
  expect(await isAlive('sleeper')).toBe(false)
})

test('all output of a command that ends at once is kept', async () => {
  const { stdout } = await bash('head -c 60000 /dev/zero | tr "\\0" x')
  expect(String(stdout)).toBe('x'.repeat(60_000))
})

test('long output keeps its beginning and its end', async () => {
  const { stdout, truncated } = await bash('echo begin; head -c 3000000 /dev/zero | tr "\\0" x; echo; echo end')
  expect(String(stdout).length).toBeLessThan(66_000)
  expect(stdout).toMatch(/^begin\n/)
  expect(stdout).toMatch(/\nend\n$/)
  expect(stdout).toMatch(/\[\d+ bytes left out\]/)
  expect(truncated).toBe(true)
})

test.each([1, 7, 64, 1000])('bounded output equals a cut of the whole, in chunks of %i bytes', (size) => {
  const whole = Buffer.from(Array.from({ length: 999 }, (_, i) => 97 + (i % 26)))
  for (const limit of [10, 100, 998, 999, 1000, 2000]) {
    const output = new BoundedOutput(limit)
    for (let at = 0; at < whole.length; at += size) output.add(whole.subarray(at, at + size))
    const half = Math.floor(limit / 2)
    const fits = whole.length <= 2 * half
    const [head, tail] = [whole.subarray(0, half), whole.subarray(whole.length - half)]
    expect(output.isCut).toBe(!fits)
    expect(output.text()).toBe(fits ? `${whole}` : `${head}\n… [${whole.length - 2 * half} bytes left out] …\n${tail}`)
  }
})
