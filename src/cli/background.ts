/**
 * The three processes of a start in the background, which all carry out the same command line and tell by a mark in their
 * environment which one they are:
 *
 *   shell ─▶ launcher ─▶ supervisor ─▶ daemon          "up" goes back the same way; then the launcher ends
 *            waits       starts the daemon again
 */
import { homedir } from 'node:os'
import { basename, dirname, extname, join } from 'node:path'
import type { Config } from '../config/load.js'
import { type ProcessName, processOf } from './pid-files.js'

const MARK = 'ORCHESTRATOR_BACKGROUND'

/** What this process is in the background; undefined: somebody has called it. */
export type BackgroundPart = 'supervisor' | 'daemon'

/** What the daemon says once clients may come. */
export interface Up {
  readonly up: { readonly pid: number; readonly port: number | undefined }
}

let part: BackgroundPart | undefined
let supervisor: ProcessName | undefined

/** Reads the mark, once: programs that the daemon starts must not find it. */
export function takeMark(env: NodeJS.ProcessEnv = process.env): BackgroundPart | undefined {
  const mark = env[MARK]
  delete env[MARK]
  if (mark === 'supervisor' || mark === 'daemon') part = mark
  if (mark === 'daemon' && process.send) supervisor = processOf(process.ppid)
  return part
}

/** Whether somebody has marked this process; before `takeMark`. */
export const isBackground = (env: NodeJS.ProcessEnv = process.env): boolean => env[MARK] !== undefined

/** The process that starts this one again when it ends by itself. */
export const supervisorOfThis = (): ProcessName | undefined => supervisor

/** The environment for a process that is to be `which`. */
export const marked = (which: BackgroundPart): NodeJS.ProcessEnv => ({ ...process.env, [MARK]: which })

/** This command line anew, with `options` of Node.js besides. */
export const sameCommandLine = (options: readonly string[] = []): string[] => [
  ...process.execArgv,
  ...options,
  ...process.argv.slice(1),
]

export const isUp = (message: unknown): message is Up =>
  typeof message === 'object' && message !== null && 'up' in message

/** Tells whoever waits for it, if anybody does. */
export function sayUp(port: number | undefined): void {
  if (part === 'daemon' && process.connected) process.send?.({ up: { pid: process.pid, port } } satisfies Up)
}

/** The log of a daemon in the background whose settings name none. Each has its own, because two would rotate one away. */
export function usualLog({ role, name, port }: Config['server'], env: NodeJS.ProcessEnv = process.env): string {
  const folder = join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state'), 'orchestrator-daemon')
  const listens = role === 'all' || role === 'edge'
  return join(folder, `${listens && port !== 0 ? `daemon-${port}` : `${role}-${name}`}.log`)
}

/** Where Node.js itself writes when the daemon cannot: beside its log. */
export function errorLogBeside(log: string): string {
  const ending = extname(log)
  return join(dirname(log), `${basename(log, ending)}-error${ending}`)
}
