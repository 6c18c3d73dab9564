/**
 * Keeps a PGlite directory to one process: two that open the same one destroy it, and PGlite itself does not notice.
 *
 * The lock is a file beside the directory that says who holds it. It is never taken from a live process. A dead holder's
 * lock is replaced under a second lock of the same kind (`<lock>.takeover`), so that of several openers only one wins:
 *
 *   opener A   read dead holder ── lock takeover ── still the same dead holder? ── replace ── unlock takeover
 *   opener B   read dead holder ── (busy, or too late: the holder is now A) ── refused
 */
import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'

export interface DirectoryLock {
  /** Frees the directory; may be called twice. */
  release(): void
}

interface Holder {
  readonly pid: number
  /** Start of that process in clock ticks since boot; tells a process from a later one with the same pid. */
  readonly startedAt: string | undefined
  readonly host: string
  /** Tells one holding from the next, also of the same process. */
  readonly token: string
}

/** The holder touches its lock this often, for openers in other containers, which cannot see its pid. */
const TOUCH_INTERVAL_MS = 2_000
/** Such an opener takes a holder for dead after this long; a main loop is never stuck for so long. */
const SILENT_AFTER_MS = 30_000
/** A takeover that was itself cut is taken over once more; deeper means that openers crash in a row. */
const MAX_TAKEOVER_DEPTH = 4

/** State, in field 3 of /proc/<pid>/stat, of a process that has ended and whose parent has not looked yet. */
const ZOMBIE = 'Z'
/** Field 22 of /proc/<pid>/stat, counted from field 3. */
const START_TIME = 19

/** Locks `directory` for this process. Throws an error that names the directory and the holder when it is in use. */
export function lockDirectory(directory: string): DirectoryLock {
  const path = `${directory}.lock`
  const holder = thisProcess()
  const refusal = acquire(path, holder, 0)
  if (refusal) throw new Error(inUse(directory, path, refusal))
  return heldLock(path, holder)
}

function heldLock(path: string, holder: Holder): DirectoryLock {
  const touch = setInterval(() => signOfLife(path), TOUCH_INTERVAL_MS)
  touch.unref()
  let held = true
  return {
    release: () => {
      if (!held) return
      held = false
      clearInterval(touch)
      free(path, holder)
    },
  }
}

function signOfLife(path: string): void {
  const now = new Date()
  try {
    utimesSync(path, now, now)
  } catch {
    // Somebody deleted the file by hand: stopping a service that works would not bring it back.
  }
}

const inUse = (directory: string, path: string, holder: Holder): string =>
  `The data directory ${directory} is in use by process ${holder.pid} on ${holder.host}; stop that process, choose ` +
  `another directory, or, when no process uses it, delete ${path}`

/** Who stands in the way, or undefined when `holder` now has the lock. */
function acquire(path: string, holder: Holder, depth: number): Holder | undefined {
  if (create(path, holder)) return undefined
  const found = read(path)
  if (found === undefined) return acquire(path, holder, depth + 1)
  if (isAlive(found, path) || depth >= MAX_TAKEOVER_DEPTH) return found
  return takeOver(path, found, holder, depth)
}

function takeOver(path: string, dead: Holder, holder: Holder, depth: number): Holder | undefined {
  const takeover = `${path}.takeover`
  const other = acquire(takeover, holder, depth + 1)
  if (other) return other
  try {
    // Since we read the dead holder, another opener may have finished a takeover of its own.
    const now = read(path)
    if (now?.token !== dead.token) return now ?? dead
    replace(path, holder)
    return undefined
  } finally {
    free(takeover, holder)
  }
}

/** Fails like O_EXCL when the name exists, and the file appears with its content: nobody ever reads half a holder. */
function create(path: string, holder: Holder): boolean {
  return withDraft(path, holder, (draft) => {
    try {
      linkSync(draft, path)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    }
  })
}

function replace(path: string, holder: Holder): void {
  withDraft(path, holder, (draft) => renameSync(draft, path))
}

function withDraft<T>(path: string, holder: Holder, use: (draft: string) => T): T {
  const draft = `${path}.${holder.token}`
  writeFileSync(draft, JSON.stringify(holder), { flag: 'wx' })
  try {
    return use(draft)
  } finally {
    rmSync(draft, { force: true })
  }
}

function read(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined // Released this moment.
    throw new Error(`The lock file ${path} is damaged; delete it when no process uses the directory`, { cause: error })
  }
}

// Only our own: after a long freeze the lock may have passed to a process of another container.
function free(path: string, holder: Holder): void {
  if (read(path)?.token === holder.token) rmSync(path, { force: true })
}

const thisProcess = (): Holder => ({
  pid: process.pid,
  startedAt: startOf(process.pid),
  host: hostname(),
  token: randomUUID(),
})

function isAlive(holder: Holder, path: string): boolean {
  if (holder.host !== hostname()) return Date.now() - touchedAt(path) < SILENT_AFTER_MS
  if (!answersSignals(holder.pid) || statusOf(holder.pid)?.[0] === ZOMBIE) return false
  const startedAt = startOf(holder.pid)
  return holder.startedAt === undefined || startedAt === undefined || startedAt === holder.startedAt
}

const touchedAt = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' // It lives and belongs to another user.
  }
}

const startOf = (pid: number): string | undefined => statusOf(pid)?.[START_TIME]

/** The fields of /proc/<pid>/stat behind the command, which may itself hold blanks and brackets. */
function statusOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined // No /proc, or the process is gone: the pid alone decides.
  }
}
