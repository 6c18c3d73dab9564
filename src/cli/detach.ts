/**
 * `orchestrator-daemon start --detach`: starts a daemon that outlives the shell, and returns when clients may come. When
 * it does not come up, nothing is left of it, and the end of its log says why.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/load.js'
import { errorLogBeside, isUp, marked, sameCommandLine, type Up, usualLog } from './background.js'
import { CommandFailure, EXIT } from './exit.js'
import { heapOption } from './heap-limit.js'
import { lastLines, positionOf } from './log-lines.js'
import { duration, Output } from './output.js'

/** A new built-in database takes seconds, and on a busy machine many of them. */
export const UP_TIMEOUT_MS = 60_000
/** For a daemon that did not come up to end in order. */
const END_MS = 5_000
const LINES_SHOWN = 20

type Outcome = Up['up'] | { readonly failed: string }

export interface DetachOptions {
  readonly maxHeapMb: number | undefined
  /** How long it may take to be ready. */
  readonly timeoutMs: number
  /** The command that shows its log. */
  readonly logsWith: string
}

/** @throws CommandFailure with the last lines of its log */
export async function detach(config: Config, { maxHeapMb, timeoutMs, logsWith }: DetachOptions): Promise<void> {
  const output = new Output()
  const log = resolve(config.logging.file ?? usualLog(config.server))
  const errors = errorLogBeside(log)
  const before = [log, errors].map((file) => ({ file, from: positionOf(file) }))
  const child = launch(log, errors, maxHeapMb)
  process.once('SIGINT', () => {
    child.kill('SIGTERM')
    process.exit(EXIT.interrupted)
  })
  const outcome = await untilUp(child, timeoutMs)
  if ('failed' in outcome) {
    await end(child)
    throw failure(outcome.failed, log, before)
  }
  child.disconnect()
  child.unref()
  const place = outcome.port === undefined ? '' : ` on port ${outcome.port}`
  output.line(`${config.server.name} (${config.server.role}, pid ${outcome.pid}) runs${place}`)
  output.line(`its log is ${log}; see it with \`${logsWith}\``)
}

function launch(log: string, errors: string, maxHeapMb: number | undefined): ChildProcess {
  mkdirSync(dirname(log), { recursive: true })
  return spawn(process.execPath, sameCommandLine(maxHeapMb === undefined ? [] : [heapOption(maxHeapMb)]), {
    // A group of its own: Ctrl-C and the end of the shell are none of its business.
    detached: true,
    stdio: ['ignore', 'ignore', openSync(errors, 'a'), 'ipc'],
    env: { ...marked('supervisor'), LOG_FILE: log },
  })
}

function untilUp(child: ChildProcess, timeoutMs: number): Promise<Outcome> {
  return new Promise((settle) => {
    const late = setTimeout(settle, timeoutMs, { failed: `it was not ready within ${duration(timeoutMs)}` })
    const done = (outcome: Outcome) => {
      clearTimeout(late)
      settle(outcome)
    }
    child.once('error', ({ message }) => done({ failed: message }))
    child.once('exit', (code, signal) => done({ failed: `it ended with ${code ?? signal}` }))
    child.on('message', (message) => isUp(message) && done(message.up))
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  // The supervisor passes it on; a second one would end the daemon at once.
  child.kill('SIGTERM')
  await Promise.race([gone, sleep(END_MS, undefined, { ref: false })])
  killGroup(child)
}

/** The supervisor and all that it has started. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // All of them have ended.
  }
}

function failure(why: string, log: string, before: readonly { file: string; from: number }[]): CommandFailure {
  const lines = before.flatMap(({ file, from }) => lastLines(file, LINES_SHOWN, from))
  const shown = lines.length === 0 ? ['  (nothing was written)'] : lines.slice(-LINES_SHOWN).map((line) => `  ${line}`)
  return new CommandFailure(`the daemon did not come up: ${why}; the end of ${log}:\n${shown.join('\n')}`)
}
