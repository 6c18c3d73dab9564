/**
 * What processes cost, as the kernel counts it. Read from /proc: on systems without it there are no figures.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** Ticks of `utime` and `stime`: 100 a second on every Linux that Node runs on. */
const US_PER_TICK = 10_000
const KIB = 1024
/** Places in /proc/<pid>/stat, counted from the state, which follows the name in parentheses. */
const FIELD = { parent: 1, utime: 11, stime: 12, cutime: 13, cstime: 14 } as const

/** Whom to measure: names with the processes that belong to them. */
export type Members = Readonly<Record<string, readonly number[]>>

/** CPU time in µs by name, since the processes began. */
export type CpuTimes = Readonly<Record<string, number>>

/** Children of the processes are counted too, also those that have ended: a database works in them. */
export function cpuTimes(members: Members): CpuTimes {
  const parents = parentsOfAll()
  return Object.fromEntries(
    Object.entries(members).map(([name, pids]) => {
      const family = pids.flatMap((pid) => [pid, ...childrenOf(pid, parents)])
      return [name, family.reduce((sum, pid) => sum + cpuOf(pid), 0)]
    }),
  )
}

/** What was used between two readings, in µs per round trip; of no round trip at all it is 0. */
export function costPerRoundTrip(before: CpuTimes, after: CpuTimes, roundTrips: number): Record<string, number> {
  const each = (us: number): number => (roundTrips === 0 ? 0 : Number((us / roundTrips).toFixed(1)))
  return Object.fromEntries(Object.entries(after).map(([name, us]) => [name, each(us - (before[name] ?? 0))]))
}

/** Resident memory in bytes; 0 when the process is gone. */
export function residentBytes(pid: number): number {
  const line = readText(`/proc/${pid}/status`)?.match(/^VmRSS:\s+(\d+) kB/m)
  return Number(line?.[1] ?? 0) * KIB
}

/** Memory that processes of one name share, as those of a database do, counts in each of them. */
export function residentByName(members: Members): Record<string, number> {
  const parents = parentsOfAll()
  return Object.fromEntries(
    Object.entries(members).map(([name, pids]) => {
      const family = pids.flatMap((pid) => [pid, ...childrenOf(pid, parents)])
      return [name, family.reduce((sum, pid) => sum + residentBytes(pid), 0)]
    }),
  )
}

function cpuOf(pid: number): number {
  const stat = statOf(pid)
  const { utime, stime, cutime, cstime } = FIELD
  return [utime, stime, cutime, cstime].reduce((sum, field) => sum + Number(stat?.[field] ?? 0), 0) * US_PER_TICK
}

function parentsOfAll(): ReadonlyMap<number, number> {
  const pids = readNames('/proc').map(Number).filter(Number.isInteger)
  return new Map(pids.map((pid) => [pid, Number(statOf(pid)?.[FIELD.parent] ?? 0)]))
}

const childrenOf = (pid: number, parents: ReadonlyMap<number, number>): number[] =>
  [...parents].filter(([, parent]) => parent === pid).map(([child]) => child)

function statOf(pid: number): string[] | undefined {
  const text = readText(`/proc/${pid}/stat`)
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // The process has ended, or there is no /proc.
  }
}

function readNames(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return [] // There is no /proc.
  }
}
