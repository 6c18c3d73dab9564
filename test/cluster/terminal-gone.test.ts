/**
 * Daemons that outlive the terminal in which they were started. `script` makes one, and takes it away again.
 */
import { spawnSync } from 'node:child_process'
import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { cleanEnvironment, PROGRAM } from '../support/cluster-process.js'
import { Shell } from '../support/command-line.js'
import { freePort } from '../support/free-port.js'

const PATIENCE = { timeout: 30_000, interval: 50 } as const
const START_MS = 90_000
const hasScript = spawnSync('script', ['--version']).status === 0

async function shellWithLog() {
  const port = await freePort()
  const shell = await Shell.open({ DAEMON_PORT: String(port), LOG_FILE: 'daemon.log' })
  onTestFinished(() => shell.close())
  const log = () => readFile(join(shell.folder, 'daemon.log'), 'utf8')
  return { shell, port, log }
}

/** Runs a line of shell in a terminal of its own, which is gone when this returns. */
function inTerminal({ folder, env }: Shell, line: string): number | null {
  const all = { ...cleanEnvironment(), ...env }
  return spawnSync('script', ['-q', '-e', '-c', line, '/dev/null'], { cwd: folder, env: all, timeout: START_MS }).status
}

const start = (options = '') => `'${process.execPath}' '${PROGRAM}' start ${options}`
const isHealthy = async (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/health`).then(
    ({ ok }) => ok,
    () => false,
  )

/** It reads its settings when it is asked to, and is the process that it was. */
async function reloads({ folder }: Shell, pid: number, log: () => Promise<string>): Promise<void> {
  await appendFile(join(folder, '.env'), 'DAEMON_AUTH_MAX_CONNECTIONS=3\n')
  process.kill(pid, 'SIGHUP')
  await vi.waitFor(async () => {
    const text = await log()
    expect(text).toMatch(/"cause":"SIGHUP"/)
    expect(text).toMatch(/"setting":"DAEMON_AUTH_MAX_CONNECTIONS".*"to":"3"/)
  }, PATIENCE)
}

test.runIf(hasScript)(
  'one in the background goes on when its terminal is gone, and takes SIGHUP as a wish to read its settings',
  async () => {
    const { shell, port, log } = await shellWithLog()

    expect(inTerminal(shell, start('--detach'))).toBe(0)
    const [pid = 0] = await shell.pids()
    await reloads(shell, pid, log)
    // To the process behind which it stands, as `kill -HUP` of a group does.
    process.kill(JSON.parse((await pidFile(shell, pid)).split('\n')[1] ?? '{}').supervisor.pid, 'SIGHUP')
    await vi.waitFor(async () => expect((await log()).match(/"cause":"SIGHUP"/g)?.length).toBeGreaterThan(1), PATIENCE)

    expect(await isHealthy(port)).toBe(true)
    expect(await shell.pids()).toEqual([pid])
  },
)

test.runIf(hasScript)('one that nohup started hears that its terminal is gone, and goes on', async () => {
  const { shell, port, log } = await shellWithLog()
  const untilReady = `until grep -q '"msg":"ready"' daemon.log 2>/dev/null; do sleep 0.1; done`

  expect(inTerminal(shell, `nohup ${start()} >/dev/null 2>&1 & ${untilReady}`)).toBe(0)
  const [pid = 0] = await shell.pids()
  await reloads(shell, pid, log)

  expect(await isHealthy(port)).toBe(true)
  expect(await shell.pids()).toEqual([pid])
})

const pidFile = ({ folder }: Shell, pid: number): Promise<string> =>
  readFile(join(folder, 'orchestrator-daemon', `${pid}.pid`), 'utf8')
