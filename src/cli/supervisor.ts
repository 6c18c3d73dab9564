/**
 * Stands behind a daemon in the background: starts it again when it ends by itself, three times a minute at most, a little
 * later each time. Who wants it gone stops the daemon, and this process ends with it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { isUp, marked, sameCommandLine } from './background.js'
import { EXIT } from './exit.js'

const MAX_RESTARTS = 3
const RESTART_WINDOW_MS = 60_000
/** Times the number of the restart. */
const RESTART_DELAY_MS = 2_000
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
/** Ends that somebody wanted. */
const WANTED: ReadonlySet<number> = new Set([EXIT.ok, EXIT.interrupted])

/** Resolves with the exit code when there is nothing left to stand behind. */
export async function supervise(): Promise<number> {
  const stopping = new AbortController()
  let child: ChildProcess | undefined
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (signal !== 'SIGHUP') stopping.abort()
      child?.kill(signal)
    })
  }
  let hasBeenUp = false
  const restarts: number[] = []
  for (;;) {
    child = startDaemon(() => {
      hasBeenUp = true
    })
    const code = await endOf(child)
    // Whoever waits for a first start is told why it failed, rather than left to wait for others.
    if (stopping.signal.aborted || WANTED.has(code) || !hasBeenUp) return code
    const now = performance.now()
    while (restarts[0] !== undefined && now - restarts[0] > RESTART_WINDOW_MS) restarts.shift()
    if (restarts.length === MAX_RESTARTS) return giveUp(code)
    restarts.push(now)
    const delayMs = RESTART_DELAY_MS * restarts.length
    say(`the daemon ended with ${code}; starting it again in ${delayMs} ms (${restarts.length} of ${MAX_RESTARTS})`)
    await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => undefined)
    if (stopping.signal.aborted) return EXIT.ok
  }
}

function startDaemon(onUp: () => void): ChildProcess {
  const child = spawn(process.execPath, sameCommandLine(), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: marked('daemon'),
  })
  child.on('message', (message) => {
    if (!isUp(message)) return
    onUp()
    // The launcher is gone after the first time.
    if (process.connected) process.send?.(message)
  })
  return child
}

const endOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => {
    child.once('error', () => resolve(EXIT.failed))
    child.once('exit', (code) => resolve(code ?? EXIT.dead))
  })

function giveUp(code: number): number {
  say(`the daemon ended with ${code}, too often within a minute; it is not started again`)
  return code
}

/** Standard error is the file beside the log. */
const say = (sentence: string): void => {
  process.stderr.write(`${new Date().toISOString()} ${sentence}\n`)
}
