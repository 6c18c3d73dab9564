/**
 * A server with children, frozen as a whole: a signal reaches only the process that it is sent to, and PostgreSQL answers
 * each connection by a process of its own.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const IS_NUMBER = /^\d+$/

/** The parent first: it has no new children afterwards. */
export async function freezeTree(parent: number): Promise<void> {
  send(parent, 'SIGSTOP')
  for (const child of await childrenOf(parent)) send(child, 'SIGSTOP')
}

/** Undoes it; of a tree that is not frozen nothing changes. */
export async function thawTree(parent: number): Promise<void> {
  for (const child of await childrenOf(parent)) send(child, 'SIGCONT')
  send(parent, 'SIGCONT')
}

/** From /proc where there is one: a small system has no `ps`. */
export async function childrenOf(parent: number): Promise<number[]> {
  const pairs = process.platform === 'linux' ? await fromProc() : await fromPs()
  return pairs.filter(([, ppid]) => ppid === parent).map(([pid]) => pid)
}

type Pair = readonly [pid: number, ppid: number]

async function fromProc(): Promise<Pair[]> {
  const ids = (await readdir('/proc')).filter((name) => IS_NUMBER.test(name))
  // One that has ended meanwhile is nobody's child.
  const stats = await Promise.all(ids.map((id) => readFile(`/proc/${id}/stat`, 'utf8').catch(() => '')))
  // `pid (name) state ppid …`, and a name may hold anything.
  return stats.flatMap((stat, index) => {
    const [, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return ppid === undefined ? [] : [[Number(ids[index]), Number(ppid)] as const]
  })
}

async function fromPs(): Promise<Pair[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid='])
  const lines = stdout.split('\n').filter((line) => line.trim() !== '')
  return lines.map((line) => {
    const [pid = 0, ppid = 0] = line.trim().split(/\s+/).map(Number)
    return [pid, ppid]
  })
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile: a connection that was closed.
  }
}
