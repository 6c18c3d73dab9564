/**
 * Waiting between attempts: how long, and that an abort ends the wait.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { abortError } from './stream-guard.js'

export interface RetryPolicy {
  /** Requests sent at most, the first included. */
  readonly attempts: number
  /** Wait before the second request, in ms; doubles with each further one. */
  readonly baseMs: number
  readonly capMs: number
  /** No wait begins that would end later than this after the start, in ms: somebody is watching the session. */
  readonly totalMs: number
}

/** Between half and all of the doubled wait, so that many sessions failing together do not come back together. */
export function backoffMs(attempt: number, policy: Pick<RetryPolicy, 'baseMs' | 'capMs'>): number {
  const full = Math.min(policy.capMs, policy.baseMs * 2 ** (attempt - 1))
  return full / 2 + Math.random() * (full / 2)
}

/** Waits `ms`, or throws `AbortError` as soon as `signal` is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (thrown) {
    throw signal.aborted ? abortError(signal) : thrown
  }
}
