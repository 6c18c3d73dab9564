/**
 * What is done to the composed cluster: what happens to containers on a bad day, and what operators do on a good one.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeId } from '../../src/protocol/ids.js'
import { docker } from './docker.js'
import type { Harm } from './fault-run.js'
import type { Project } from './project.js'

/** Longer than the balancer needs to find the edge gone: 6.5 s (deploy/haproxy.cfg). */
const PAUSE_MS = 12_000
/** Longer than a worker may be silent: 3 s. */
const CUT_MS = 8_000
/** Docker starts a container again at once; the service needs a second or two. */
const RESTART_TIMEOUT_MS = 60_000
const POLL_MS = 250
const MANY_WORKERS = 8
/** For each container: its drain, its successor's start. */
const ROLL_TIMEOUT_MS = 40_000

export async function killWorker(project: Project): Promise<Harm> {
  const { container, node } = await workerAt(project, 0)
  return {
    ...{ test: 'T1', kind: 'worker-kill', title: 'kill -9 of a worker from the host', worker: node },
    async act() {
      // Not docker kill, which Docker takes for the user's wish that the container stays down.
      process.kill(await project.pid(container), 'SIGKILL')
      await successorOf(project, container, node)
    },
  }
}

export async function pauseEdge(project: Project): Promise<Harm> {
  const container = await containerAt(project, 'edge', 0)
  return {
    ...{ test: 'T2', kind: 'edge-freeze', title: `an edge that stands still for ${PAUSE_MS / 1_000} s` },
    async act() {
      await docker(['pause', container])
      await sleep(PAUSE_MS)
      await docker(['unpause', container])
    },
  }
}

export async function cutWorker(project: Project): Promise<Harm> {
  const { container, node } = await workerAt(project, 1)
  const network = `${project.name}_stores`
  return {
    ...{ test: 'T7', kind: 'partition', worker: node, isolated: true },
    title: `a worker without its network for ${CUT_MS / 1_000} s`,
    async act() {
      await docker(['network', 'disconnect', network, container])
      await sleep(CUT_MS)
      await docker(['network', 'connect', '--alias', 'worker', network, container])
      await successorOf(project, container, node)
    },
  }
}

export const growWorkers = (project: Project): Harm => ({
  ...{ test: 'T13', kind: 'scale', title: `up --scale worker=${MANY_WORKERS}` },
  act: () => project.scale('worker', MANY_WORKERS),
})

/** @throws Error, when it is carried out, when an old container is left. */
export const roll = (project: Project, service: 'edge' | 'worker', image: string): Harm => ({
  ...{ test: 'T13', kind: 'rolling-update', title: `every ${service} is replaced by one of a new image` },
  async act() {
    const before = await project.containers(service)
    project.useImage(image)
    await project.roll(service, before.length * ROLL_TIMEOUT_MS)
    const after = await project.containers(service)
    const images = new Set(await Promise.all(after.map((container) => project.imageOf(container))))
    if (after.length !== before.length || images.size !== 1 || !images.has(image))
      throw new Error(`${after.length} of ${before.length} containers of ${service} run, of ${[...images].join(', ')}`)
  },
})

async function workerAt(project: Project, index: number): Promise<{ container: string; node: NodeId }> {
  const container = await containerAt(project, 'worker', index)
  return { container, node: await project.node(container) }
}

async function containerAt(project: Project, service: string, index: number): Promise<string> {
  const container = (await project.containers(service))[index]
  if (container === undefined) throw new Error(`there is no container ${index + 1} of ${service}`)
  return container
}

/** Resolves when another node than `former` is ready in the container. @throws Error when none comes. */
async function successorOf(project: Project, container: string, former: NodeId): Promise<void> {
  const deadline = performance.now() + RESTART_TIMEOUT_MS
  while ((await project.node(container)) === former) {
    if (performance.now() > deadline) throw new Error(`nobody has followed ${former} in its container`)
    await sleep(POLL_MS)
  }
}
