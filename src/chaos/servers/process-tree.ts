/**
 * A server with children, frozen as a whole: a signal reaches only the process that it is sent to, and PostgreSQL answers
 * each connection by a process of its own.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

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

async function childrenOf(parent: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid='])
  const pairs = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number))
  return pairs.filter(([, ppid]) => ppid === parent).map(([pid]) => pid as number)
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile: a connection that was closed.
  }
}
