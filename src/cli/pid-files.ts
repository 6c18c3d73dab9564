/**
 * Which daemons run on this machine: each writes a file with its pid and, because pids are used again, the time its
 * process started. `stop` never signals a process that is not the one which wrote the file.
 */
import { execFileSync } from 'node:child_process'
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A process, and no other one that gets its pid later. */
export interface ProcessName {
  readonly pid: number
  /** What the system says about the start of the process; only compared. */
  readonly bornAt: string
}

export interface RunningNode extends ProcessName {
  readonly role: string
  readonly name: string
  readonly host: string
  /** For clients; 0 when the role has none or it is not known yet. */
  readonly port: number
  /** Where its lines are, when not on standard output alone. */
  readonly log?: string | undefined
  /** The process that starts it again when it ends by itself. */
  readonly supervisor?: ProcessName | undefined
}

export interface FoundNode extends RunningNode {
  readonly path: string
}

/** Two of us may find the same dead file and write it anew at once; one wins, the other looks again. */
const MAX_ATTEMPTS = 3
const PRIVATE = 0o700

/** The folder of this user's pid files; the same for every shell. */
export function pidFolder(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_RUNTIME_DIR: runtime } = env
  return runtime
    ? join(runtime, 'orchestrator-daemon')
    : join(tmpdir(), `orchestrator-daemon-${process.getuid?.() ?? 0}`)
}

export const pidPath = (folder: string): string => join(folder, `${process.pid}.pid`)

/**
 * Makes the folder, not what it stands in. @throws Error of the file system, and when somebody else has made the folder:
 * they could point us at any process.
 */
export function ensurePidFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: PRIVATE })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const found = lstatSync(folder)
  if (!found.isDirectory() || (process.getuid && found.uid !== process.getuid())) {
    throw new Error(`${folder} belongs to another user; remove it, or choose a place with --pid-file`)
  }
}

/** This process as others will find it. */
export const thisNode = (node: Omit<RunningNode, keyof ProcessName>): RunningNode => ({
  ...processOf(process.pid),
  ...node,
})

export const processOf = (pid: number): ProcessName => ({ pid, bornAt: birthOf(pid) ?? '' })

/**
 * Writes the file, in the place of one whose process is gone. Returns the living process that holds it, and has then
 * written nothing. @throws Error of the file system.
 */
export function claimPidFile(path: string, node: RunningNode): RunningNode | undefined {
  for (let attempt = 1; ; attempt++) {
    try {
      createWhole(path, node)
      return undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt === MAX_ATTEMPTS) throw error
    }
    const holder = readNode(path)
    if (holder && holder.pid !== node.pid && isRunning(holder)) return holder
    rmSync(path, { force: true })
  }
}

// A link appears with its content and only where nothing is; a file that is written would be seen empty at first.
function createWhole(path: string, node: RunningNode): void {
  const next = nextOf(path, node)
  try {
    linkSync(next, path)
  } finally {
    rmSync(next, { force: true })
  }
}

/** Replaces what the file says, in one step. @throws Error of the file system. */
export function rewritePidFile(path: string, node: RunningNode): void {
  renameSync(nextOf(path, node), path)
}

function nextOf(path: string, node: RunningNode): string {
  const next = `${path}.${node.pid}.next`
  // The first line is what other programs expect of such a file.
  writeFileSync(next, `${node.pid}\n${JSON.stringify(node)}\n`)
  return next
}

/** Removes the file if it still names `pid`. Never throws: there is nothing to do about it at the end of a process. */
export function releasePidFile(path: string, pid: number): void {
  try {
    if (readNode(path)?.pid === pid) rmSync(path, { force: true })
  } catch {
    // A file that stays names a process that is gone, and whoever finds it looks for that first.
  }
}

/** All of this user's daemons that run now. */
export function runningNodes(folder: string): FoundNode[] {
  return filesOf(folder).flatMap((file) => runningNode(join(folder, file)) ?? [])
}

/** Removes what daemons left behind that were killed. */
export function forgetDead(folder: string): void {
  for (const file of filesOf(folder)) {
    const path = join(folder, file)
    const node = readNode(path)
    if (node && !isRunning(node)) rmSync(path, { force: true })
  }
}

/** The daemon that wrote this file, if it still runs. */
export function runningNode(path: string): FoundNode | undefined {
  const node = readNode(path)
  return node && isRunning(node) ? { ...node, path } : undefined
}

/** True while the process that wrote the file runs; another one with its pid does not count. */
export function isRunning({ pid, bornAt }: ProcessName): boolean {
  return birthOf(pid) === bornAt
}

/** There is no such folder, or what would hold it is none. */
const MISSING: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR'])

function filesOf(folder: string): string[] {
  try {
    lstatSync(folder)
    ensurePidFolder(folder)
    return readdirSync(folder).filter((file) => file.endsWith('.pid'))
  } catch (error) {
    if (MISSING.has((error as NodeJS.ErrnoException).code)) return []
    throw error
  }
}

function readNode(path: string): RunningNode | undefined {
  try {
    const node = JSON.parse(readFileSync(path, 'utf8').split('\n')[1] ?? '') as Partial<RunningNode>
    return Number.isInteger(node.pid) && Number(node.pid) > 0 && typeof node.bornAt === 'string'
      ? (node as RunningNode)
      : undefined
  } catch (error) {
    // Half written, of another program, or gone meanwhile: no daemon that we know.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Start of a process as the system tells it, or undefined when there is none. */
function birthOf(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux') {
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined
    }
    // `pid (name) state … starttime`: the name may hold anything, so the fields are counted from its end.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[STARTTIME_FIELD]
  } catch {
    // No such process.
    return undefined
  }
}

/** `starttime` of proc(5), counted from the state. */
const STARTTIME_FIELD = 19
