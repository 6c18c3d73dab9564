/**
 * The two ends of a baseline's process: it says where it listens, and it ends with its starter.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { forget, watch } from '../../src/chaos/servers/watchdog.js'
import type { Teardown } from '../../src/chaos/teardown.js'

export interface RunningBaseline {
  readonly pid: number
  /** 0 for a program that takes no connections. */
  readonly port: number
}

interface Ready {
  readonly port: number
}

/** For the program itself: `port` is 0 when it takes no connections. */
export function sayReady(port = 0): void {
  process.once('disconnect', () => process.exit(0))
  process.send?.({ port } satisfies Ready)
}

/** Runs `program`, a file of this folder. @throws Error when it ends before it is ready. */
export async function startBaseline(
  teardown: Teardown,
  program: string,
  args: readonly string[] = [],
): Promise<RunningBaseline> {
  const file = fileURLToPath(new URL(program, import.meta.url))
  const child = fork(file, [...args], { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const pid = child.pid ?? 0
  watch(`KILL=${pid}`)
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  teardown.add(program, async () => {
    child.kill('SIGKILL')
    await exited
    forget(`KILL=${pid}`)
  })
  const { port } = await new Promise<Ready>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Ready))
    child.once('exit', () => reject(new Error(`${program} ended before it was ready`)))
  })
  return { pid, port }
}
