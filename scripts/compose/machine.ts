/**
 * Whether this machine can run the Compose cluster: root, a Docker Engine with Compose, room on the disk, and the images
 * that ours are made from. An engine that is installed and does not run is started, and stopped afterwards.
 */
import { spawn } from 'node:child_process'
import { createWriteStream, existsSync, readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { forget, temporaryFolder, watch } from '../../src/chaos/servers/watchdog.js'
import type { Teardown } from '../../src/chaos/teardown.js'
import { docker } from './docker.js'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

const MIN_COMPOSE = [2, 24] as const
const GIB = 1024 ** 3
/** Two images of ours with their stages, and what the stores write. */
const MIN_FREE_GIB = 8
/** An engine with many images needs a few seconds. */
const ENGINE_START_MS = 60_000
const POLL_MS = 250
const PULL_TIMEOUT_MS = 120_000
/** Where an engine started by hand is looked for, beside the PATH. */
const ENGINES = ['/usr/bin/dockerd', '/usr/sbin/dockerd', '/usr/local/bin/dockerd']

/** Why it cannot be done here, in one sentence; undefined when it can. */
export async function obstacle(teardown: Teardown): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'this needs Linux and root'
  return (
    (await engineObstacle(teardown)) ?? (await composeObstacle()) ?? (await diskObstacle()) ?? (await imageObstacle())
  )
}

async function engineObstacle(teardown: Teardown): Promise<string | undefined> {
  if (await answers('version')) return undefined
  if (!(await answers('--version'))) return 'there is no docker program'
  const engine = ENGINES.find((path) => existsSync(path))
  if (engine === undefined) return 'no Docker Engine answers, and none is installed'
  return startEngine(engine, teardown)
}

const answers = (...args: readonly string[]): Promise<boolean> =>
  docker(args).then(
    () => true,
    () => false,
  )

async function startEngine(program: string, teardown: Teardown): Promise<string | undefined> {
  const folder = temporaryFolder()
  const log = join(folder.path, 'dockerd.log')
  const output = createWriteStream(log)
  const child = spawn(program, ['--log-level', 'warn'], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.stdout.pipe(output)
  child.stderr.pipe(output)
  if (child.pid !== undefined) watch(`QUIT=${child.pid}`)
  teardown.add('the Docker Engine', async () => {
    child.kill('SIGTERM')
    await ended
    forget(`QUIT=${child.pid ?? 0}`)
    folder.remove()
  })
  const deadline = performance.now() + ENGINE_START_MS
  while (child.exitCode === null && performance.now() < deadline) {
    if (await answers('version')) return undefined
    await sleep(POLL_MS)
  }
  return `${program} did not start: ${readFileSync(log, 'utf8').trim().split('\n').at(-1)}`
}

async function composeObstacle(): Promise<string | undefined> {
  const version = await docker(['compose', 'version', '--short']).catch(() => '')
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  const [wantedMajor, wantedMinor] = MIN_COMPOSE
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return undefined
  return `Docker Compose ${MIN_COMPOSE.join('.')} or newer is needed; found ${version || 'none'}`
}

async function diskObstacle(): Promise<string | undefined> {
  const root = await docker(['info', '--format', '{{.DockerRootDir}}'])
  const { bavail, bsize } = await statfs(root)
  const free = (bavail * bsize) / GIB
  return free >= MIN_FREE_GIB ? undefined : `${root} has ${free.toFixed(1)} GiB free; ${MIN_FREE_GIB} are needed`
}

/** Images of others that the files name. Those of this machine are used; one that is not there is fetched. */
async function imageObstacle(): Promise<string | undefined> {
  const bases = readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8').match(/(?<=^FROM )\S+:\S+/gm) ?? []
  const env = { DAEMON_JWT_SECRET: 'none', ORCHESTRATOR_IMAGE: 'ours' }
  const named = await docker(['compose', '-f', 'docker-compose.cluster.yml', 'config', '--images'], { cwd: ROOT, env })
  for (const image of new Set([...bases, ...named.split('\n')])) {
    if (image === 'ours' || (await answers('image', 'inspect', image))) continue
    const failed = await docker(['pull', '--quiet', image], { timeoutMs: PULL_TIMEOUT_MS }).then(
      () => false,
      () => true,
    )
    if (failed) return `the image ${image} is not on this machine and cannot be fetched`
  }
  return undefined
}
