/**
 * A daemon in the background: started, seen, started again, stopped; and what is said of one that does not come up.
 */
import { execFile } from 'node:child_process'
import { appendFile, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Shell } from '../support/command-line.js'
import { freePort } from '../support/free-port.js'

const PATIENCE = { timeout: 60_000, interval: 50 } as const
const MANY = { timeout: 180_000 } as const

interface Noted {
  readonly pid: number
  readonly port: number
  readonly log: string
  readonly supervisor: { readonly pid: number }
}

async function shellWithPort(settings: Readonly<Record<string, string>> = {}) {
  const port = await freePort()
  const shell = await Shell.open({ DAEMON_PORT: String(port), ...settings })
  onTestFinished(() => shell.close())
  return { shell, port }
}

/** What the daemon that runs has noted about itself. */
async function noted(shell: Shell): Promise<Noted> {
  const [pid] = await shell.pids()
  const text = await readFile(join(shell.folder, 'orchestrator-daemon', `${pid}.pid`), 'utf8')
  return JSON.parse(text.split('\n')[1] ?? '') as Noted
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const isHealthy = async (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/health`).then(
    ({ ok }) => ok,
    () => false,
  )

test('C-06, C-07: start --detach returns when clients may come, says where the log is, and stop leaves nothing behind', async () => {
  const { shell, port } = await shellWithPort()
  const { code, stdout, stderr } = await shell.run('start', '--detach')
  const { pid, log, supervisor } = await noted(shell)

  expect([code, stderr]).toEqual([0, ''])
  expect(await isHealthy(port)).toBe(true)
  expect(stdout).toBe(
    `orchestrator-daemon (all, pid ${pid}) runs on port ${port}\n` +
      `its log is ${log}; see it with \`orchestrator-daemon logs -f\`\n`,
  )
  expect(log).toBe(join(shell.folder, 'state/orchestrator-daemon', `daemon-${port}.log`))
  expect(runs(supervisor.pid)).toBe(true)
  expect((await shell.run('status')).code).toBe(0)

  const stopped = await shell.run('stop')
  expect(stopped).toMatchObject({ code: 0, stdout: expect.stringContaining('has stopped') })
  await vi.waitFor(() => expect([runs(pid), runs(supervisor.pid)]).toEqual([false, false]), PATIENCE)
  expect(await isHealthy(port)).toBe(false)
})

test('C-07: start -d, and --daemon, which the reference calls it, do the same; a second one is told of the first', async () => {
  const { shell } = await shellWithPort()
  expect((await shell.run('start', '--daemon')).code).toBe(0)
  const [pid] = await shell.pids()

  const second = await shell.run('start', '-d')

  expect(second.code).toBe(1)
  expect(second.stderr).toContain(`already running, pid ${pid}`)
  expect(await shell.pids()).toEqual([pid])
})

test('a daemon that cannot start ends the command with 1 and the end of its log, and nothing is left', async () => {
  const { shell, port } = await shellWithPort({ LOG_FILE: 'logs/mine.log' })
  const other = createServer().listen(port, '127.0.0.1')
  onTestFinished(() => void other.close())
  await new Promise((resolve) => other.once('listening', resolve))
  await shell.run('start') // Its lines are of another life.

  const { code, stdout, stderr } = await shell.run('start', '-d')

  expect([code, stdout]).toEqual([1, ''])
  expect(stderr).toMatch(/^error: the daemon did not come up: it ended with 1; the end of \S+\/logs\/mine\.log:\n/)
  expect(stderr.match(/could not start: cannot listen on/g)).toHaveLength(1)
  expect(await shell.pids()).toEqual([])
})

test('a daemon that is not ready in time is ended, and the command ends with 1', async () => {
  const { shell, port } = await shellWithPort()
  const { code, stderr } = await shell.run('start', '-d', '--timeout', '5')

  expect(code).toBe(1)
  expect(stderr).toContain('it was not ready within 5 ms')
  await vi.waitFor(async () => expect(await shell.pids()).toEqual([]), PATIENCE)
  expect(await isHealthy(port)).toBe(false)
})

test('its process takes 2048 MB for objects at most, or what the settings say, and there is no further one for that', async () => {
  const limits: number[] = []
  for (const settings of [{}, { DAEMON_MAX_HEAP_MB: '300' }]) {
    const { shell } = await shellWithPort(settings)
    await shell.run('start', '-d')
    const { pid, supervisor } = await noted(shell)
    const [ppid = '', ...args] = (await promisify(execFile)('ps', ['-o', 'ppid=,args=', '-p', `${pid}`])).stdout
      .trim()
      .split(/\s+/)
    const option = args.findLast((arg) => arg.startsWith('--max-old-space-size=')) ?? ''
    limits.push(Number(option.split('=')[1]))
    expect(Number(ppid)).toBe(supervisor.pid)
    await shell.run('stop')
  }

  expect(limits[0]).toBeGreaterThan(300)
  expect(limits[0]).toBeLessThanOrEqual(2048)
  expect(limits[1]).toBe(300)
})

test('settings that are wrong are said at once', async () => {
  const { shell } = await shellWithPort({ LOG_LEVEL: 'loud' })

  expect(await shell.run('start', '-d')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('LOG_LEVEL must be one of'),
  })
})

test('C-07: a daemon that is killed is started again, three times a minute at most', MANY, async () => {
  const { shell, port } = await shellWithPort()
  await shell.run('start', '-d')
  const { log, supervisor } = await noted(shell)
  for (let kills = 1; runs(supervisor.pid); kills++) {
    const { pid } = await noted(shell)
    process.kill(pid, 'SIGKILL')
    await vi.waitFor(async () => {
      if (!runs(supervisor.pid)) return
      expect(await shell.pids()).not.toContain(pid)
      expect(await isHealthy(port)).toBe(true)
    }, PATIENCE)
    expect(kills).toBeLessThan(9)
  }

  const errors = await readFile(log.replace(/\.log$/, '-error.log'), 'utf8')
  const pausesMs = [...errors.matchAll(/starting it again in (\d+) ms/g)].map(([, ms]) => Number(ms))
  expect(pausesMs.slice(0, 3)).toEqual([2_000, 4_000, 6_000])
  // On a busy machine the first of them may be a minute ago when the fourth is due.
  expect(Math.max(...pausesMs)).toBe(6_000)
  expect(errors).toContain('too often within a minute; it is not started again')
})

test('one that hangs is killed by stop, and nobody starts it again', async () => {
  const { shell } = await shellWithPort()
  await shell.run('start', '-d')
  const { pid, supervisor } = await noted(shell)
  process.kill(pid, 'SIGSTOP')

  const { code, stdout } = await shell.run('stop', '--timeout', '300')

  expect(code).toBe(1)
  expect(stdout).toContain('was killed')
  await vi.waitFor(() => expect([runs(pid), runs(supervisor.pid)]).toEqual([false, false]), PATIENCE)
})

test('stop --force kills at once and ends with 0', async () => {
  const { shell } = await shellWithPort()
  await shell.run('start', '-d')
  const { pid, supervisor } = await noted(shell)

  expect(await shell.run('stop', '-f')).toMatchObject({ code: 0, stdout: expect.stringContaining('was killed') })
  await vi.waitFor(() => expect([runs(pid), runs(supervisor.pid)]).toEqual([false, false]), PATIENCE)
})

test('C-04: restart -d puts a new daemon in the place of the old one, in the background', async () => {
  const { shell, port } = await shellWithPort()
  await shell.run('start', '-d')
  const before = await noted(shell)

  const { code, stdout } = await shell.run('restart', '-d')

  const after = await noted(shell)
  expect(code).toBe(0)
  expect(stdout).toContain(`pid ${before.pid}) has stopped`)
  expect(after.pid).not.toBe(before.pid)
  expect(await isHealthy(port)).toBe(true)
})

test('logs shows the end of the log to people, and as it is with --json; -f goes on over rotation until Ctrl-C', async () => {
  const { shell } = await shellWithPort()
  await shell.run('start', '-d')
  const { log } = await noted(shell)

  const people = await shell.run('logs', '-n', '1')
  const programs = await shell.run('logs', '-n', '1', '--json')
  expect(people.stdout).toMatch(/^[\d:.]+ INFO {2}all ready .*port=\d+.*\n$/)
  expect(JSON.parse(programs.stdout)).toMatchObject({ level: 'info', msg: 'ready' })

  const following = shell.launch('logs', '-f', '-n', '1')
  await following.prints('ready')
  await appendFile(log, 'the last one of this file\n')
  await rename(log, log.replace(/\.log$/, '.1.log'))
  await writeFile(log, 'the first one of the next\n')
  await following.prints('the first one of the next')
  following.kill('SIGINT')
  const { code, stdout } = await following.ended

  expect(code).toBe(130)
  expect(stdout.split('\n').slice(-3)).toEqual(['the last one of this file', 'the first one of the next', ''])
})

test('logs says in one sentence that there is none', async () => {
  const { shell } = await shellWithPort()

  expect(await shell.run('logs')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^error: there is no log file .*; a daemon writes one with LOG_FILE or .*\n$/),
  })
})
