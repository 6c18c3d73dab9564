/**
 * The daemon of this name that is published on npm: installed into a temporary folder and started from there. Its own
 * command line does not start it, the older one inside the package does.
 */
import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from '../../src/chaos/servers/server-process.js'
import { forget, temporaryFolder, watch } from '../../src/chaos/servers/watchdog.js'
import type { Teardown } from '../../src/chaos/teardown.js'
import type { RunningBaseline } from './ready.js'

const PACKAGE = '@wundr.io/orchestrator-daemon'
export const PUBLISHED_VERSION = '1.0.39'
const PROGRAM = ['node_modules', PACKAGE, 'dist', 'bin', 'cli.js']
/** Of installation and start together. */
const INSTALL_TIMEOUT_MS = 9 * 60_000
const START_TIMEOUT_MS = 60_000
const POLL_MS = 100
const SHOWN_CHARS = 300
/** Nothing of the user's own may reach it; it wants a key and never uses it for a ping. */
const ENVIRONMENT = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', OPENAI_API_KEY: 'none' }

/** @throws Error with what npm or the daemon said when it cannot be had within ten minutes. */
export async function startPublishedDaemon(teardown: Teardown): Promise<RunningBaseline> {
  const folder = temporaryFolder()
  teardown.add('the published daemon’s folder', () => folder.remove())
  await install(folder.path)
  const port = await freePort()
  const args = [join(folder.path, ...PROGRAM), '--port', String(port), '--host', '127.0.0.1']
  const child = spawn(process.execPath, args, { cwd: folder.path, env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'] })
  const pid = child.pid ?? 0
  watch(`KILL=${pid}`)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text) => (output = `${output}${text}`.slice(-SHOWN_CHARS)))
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  teardown.add('the published daemon', async () => {
    child.kill('SIGKILL')
    await exited
    forget(`KILL=${pid}`)
  })
  const deadline = performance.now() + START_TIMEOUT_MS
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`it did not start: ${output}`)
    await sleep(POLL_MS)
  }
  return { pid, port }
}

async function install(folder: string): Promise<void> {
  const wanted = `${PACKAGE}@${PUBLISHED_VERSION}`
  const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts', wanted]
  await promisify(execFile)('npm', args, { cwd: folder, timeout: INSTALL_TIMEOUT_MS }).catch((error: Error) => {
    throw new Error(`npm could not install ${wanted}: ${reasonIn(error.message)}`, { cause: error })
  })
}

/** What npm says first of all that went wrong, without the code; its command line and advice are left out. */
const reasonIn = (output: string): string =>
  (/npm error (?:\w+ )?((?!code )\S+ \S+ .*)/.exec(output)?.[1] ?? 'no reason given').slice(0, SHOWN_CHARS)

/** Any answer will do. */
const answers = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/health`).then(
    () => true,
    () => false,
  )
