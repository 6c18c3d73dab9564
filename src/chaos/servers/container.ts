/**
 * A private server in a container, for machines that have Docker and not the server itself.
 */
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { forget, watch } from './watchdog.js'

const run = promisify(execFile)

/** The first start pulls the image. */
const START_TIMEOUT_MS = 180_000
const READY_TIMEOUT_MS = 30_000
const READY_POLL_MS = 50

export interface ContainerOptions {
  readonly image: string
  readonly command: readonly string[]
  /** The same ports inside and outside, so that a restarted container is found again. */
  readonly ports: readonly number[]
  readonly environment?: Readonly<Record<string, string>>
  readonly probe: () => Promise<void>
}

export interface RunningContainer {
  kill(signal: NodeJS.Signals): Promise<void>
  /** All its processes stand still until it is thawed. */
  freeze(): Promise<void>
  thaw(): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

export async function startContainer(options: ContainerOptions): Promise<RunningContainer> {
  const ports = options.ports.flatMap((port) => ['--publish', `127.0.0.1:${port}:${port}`])
  const environment = Object.entries(options.environment ?? {}).flatMap(([name, value]) => [
    '--env',
    `${name}=${value}`,
  ])
  const { stdout } = await run(
    'docker',
    ['run', '--detach', ...ports, ...environment, options.image, ...options.command],
    { timeout: START_TIMEOUT_MS },
  )
  const id = stdout.trim()
  watch(`container=${id}`)
  const stop = async (): Promise<void> => {
    await run('docker', ['rm', '-f', '-v', id])
    forget(`container=${id}`)
  }
  await waitUntilReady(options).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return {
    kill: async (signal) => {
      await run('docker', ['kill', '--signal', signal, id])
    },
    freeze: async () => {
      await run('docker', ['pause', id])
    },
    thaw: async () => {
      await run('docker', ['unpause', id])
    },
    restart: async () => {
      await run('docker', ['restart', '--time', '0', id])
      await waitUntilReady(options)
    },
    stop,
  }
}

async function waitUntilReady(options: ContainerOptions): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS
  for (;;) {
    try {
      return await options.probe()
    } catch (cause) {
      if (performance.now() > deadline) throw new Error(`a container of ${options.image} does not answer`, { cause })
    }
    await sleep(READY_POLL_MS)
  }
}
