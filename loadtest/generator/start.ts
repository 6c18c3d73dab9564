/**
 * Starts the generator in a process of its own, so that it measures the service and not its starter.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Plan, Progress, Report } from './plan.js'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

export interface Phases {
  /** All connections are open; nothing was sent yet. */
  readonly onConnected?: () => void | Promise<void>
  readonly onMeasuring?: (generatorPid: number) => void
  readonly onMeasured?: (generatorPid: number) => void
}

/** @throws Error with the generator's reason when it cannot do its work. */
export function generateLoad(plan: Plan, phases: Phases = {}): Promise<Report> {
  const child = fork(MAIN, [], { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const pid = child.pid ?? 0
  const done = new Promise<Report>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`the load generator ended with ${code} and without a report`)))
    child.on('message', (message) => {
      const progress = message as Progress
      if (progress.phase === 'connected') void phases.onConnected?.()
      else if (progress.phase === 'measuring') phases.onMeasuring?.(pid)
      else if (progress.phase === 'measured') phases.onMeasured?.(pid)
      else if (progress.phase === 'done') resolve(progress.report)
      else reject(new Error(`the load generator failed: ${progress.reason}`))
    })
  })
  child.send(plan)
  return done.finally(() => child.kill())
}
