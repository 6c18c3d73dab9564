/**
 * What a run is asked for, and which faults it can have: some need a program that is not installed, or a server that is
 * ours to harm.
 */
import { faketimeLibrary } from './faults/clock-skew.js'
import type { Fault } from './faults/fault.js'
import { ELSEWHERE, FAULTS, TESTS } from './faults/faults.js'

export interface Selection {
  readonly faults: readonly Fault[]
  /** Rows that are left out, with the reason. */
  readonly skipped: readonly { readonly test: string; readonly reason: string }[]
}

export interface Given {
  /** Rows that the user names; all when there are none. */
  readonly tests?: readonly string[] | undefined
  readonly redisUrl?: string | undefined
  readonly databaseUrl?: string | undefined
  /** Nodes find Redis by a Sentinel of ours. */
  readonly sentinel?: boolean | undefined
}

/** What cannot be done beside a Sentinel. */
const AGAINST_SENTINEL: Readonly<Record<string, string>> = {
  T5: 'a Sentinel would not wait until the same Redis is back',
  T7: 'a Sentinel shows nodes the way past the proxies that partitions are made of',
}

/** @throws RangeError that names the word when there is no such row. */
export function selectFaults({ tests, redisUrl, databaseUrl, sentinel }: Given): Selection {
  if (sentinel && redisUrl !== undefined)
    throw new RangeError('--sentinel starts a Redis of its own: leave out --redis-url')
  const known = [...TESTS, ...Object.keys(ELSEWHERE)]
  const unknown = tests?.find((test) => !known.includes(test))
  if (unknown !== undefined) throw new RangeError(`there is no fault ${unknown}: choose out of ${TESTS.join(', ')}`)
  const skipped = new Map<string, string>()
  for (const [test, reason] of Object.entries(ELSEWHERE)) if (!tests || tests.includes(test)) skipped.set(test, reason)
  const faults = FAULTS.filter((fault) => {
    if (tests && !tests.includes(fault.test)) return false
    const apart = sentinel ? AGAINST_SENTINEL[fault.test] : undefined
    const reason = apart ?? obstacleTo(fault, redisUrl !== undefined, databaseUrl !== undefined)
    if (reason !== undefined) skipped.set(fault.test, reason)
    return reason === undefined
  })
  return { faults, skipped: [...skipped].map(([test, reason]) => ({ test, reason })) }
}

function obstacleTo({ test, needs }: Fault, redisGiven: boolean, postgresGiven: boolean): string | undefined {
  if (redisGiven && needs.ownRedis) return 'the Redis of --redis-url is not ours to harm'
  if (postgresGiven && needs.ownPostgres) return 'the PostgreSQL of --database-url is not ours to harm'
  if (test === 'T15' && faketimeLibrary() === undefined) return 'libfaketime is not installed (package faketime)'
  return undefined
}
