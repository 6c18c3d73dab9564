/**
 * The scripts that start or build something, run as a developer runs them.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test, vi } from 'vitest'
import { forget, watch } from '../../src/chaos/servers/watchdog.js'
import { cleanEnvironment } from '../support/cluster-process.js'
import { createServerDatabase } from '../support/databases.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PATIENCE = { timeout: 60_000, interval: 50 } as const

/** Runs a program with a folder and a database of its own until the test ends; `printed` grows meanwhile. */
async function run(program: string, ...args: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'npm-scripts-'))
  const { url, remove } = await createServerDatabase()
  const env = { ...cleanEnvironment(), DATABASE_URL: url, XDG_RUNTIME_DIR: folder, DAEMON_PORT: '0', METRICS_PORT: '0' }
  // A group of its own: npm, its shell and the program end together.
  const child = spawn(program, args, {
    cwd: ROOT,
    detached: true,
    env: { ...env, WORKSPACE_ROOT: join(folder, 'workspaces') },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const pid = child.pid ?? 0
  watch(`KILL=${pid}`)
  const seen = { printed: '' }
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (part) => (seen.printed += String(part)))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  onTestFinished(async () => {
    signal(child, 'SIGKILL')
    await ended
    forget(`KILL=${pid}`)
    await remove()
    rmSync(folder, { recursive: true, force: true })
  })
  const prints = (words: RegExp) => vi.waitFor(() => expect(seen.printed).toMatch(words), PATIENCE)
  return { folder, child, ended, prints, seen }
}

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    process.kill(-(pid ?? 0), name)
  } catch {
    // It has ended.
  }
}

test('C-23: npm run start:dev starts the daemon from its source, and tells people everything', async () => {
  const { child, ended, prints } = await run('npm', 'run', '-s', 'start:dev')

  await prints(/INFO {2}all ready .*environment=development/)
  signal(child, 'SIGINT')
  await ended
})

test('C-21: scripts/start.sh starts the daemon that was built, with the options that it is given', async () => {
  const { child, ended, prints } = await run('sh', 'scripts/start.sh', '--name', 'from-the-script')

  await prints(/"name":"from-the-script".*"msg":"ready"/)
  signal(child, 'SIGTERM')
  await ended
})

test('npm run build:watch builds, and goes on watching', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'build-watch-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const { child, prints } = await run('npm', 'run', '-s', 'build:watch', '--', '--outDir', folder)

  await prints(/0 errors/)

  expect(existsSync(join(folder, 'main.js'))).toBe(true)
  expect(child.exitCode).toBeNull()
})
