/**
 * What to do while Postgres is away: wait a while and ask again, then say so.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../protocol/errors.js'

/** A restart or a failover of a database fits; somebody waits for the answer. */
const OUTAGE_PATIENCE_MS = 60_000
/** Between two attempts: soon after a lost connection, and no crowd at the door of a database that starts. */
const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 2_000

export interface Patience {
  /** Ends the waiting. */
  readonly signal?: AbortSignal
  readonly patienceMs?: number
}

/**
 * Asks until the database answers, be it with a failure. `ask` may be repeated, also after an attempt that was carried out
 * and whose answer was lost. @throws ServiceError `unavailable` after a minute, and the signal's reason when aborted
 */
export async function throughOutage<T>(ask: () => Promise<T>, patience: Patience = {}): Promise<T> {
  const { patienceMs = OUTAGE_PATIENCE_MS, signal } = patience
  const end = new AbortController()
  // An attempt may hang for longer than anybody waits: a server that is frozen says nothing.
  const over = endOf(patienceMs, signal, end.signal)
  over.catch(() => undefined) // Told by the attempt that it ends.
  try {
    return await Promise.race([over, askAgain(ask, end.signal)])
  } finally {
    end.abort()
  }
}

async function askAgain<T>(ask: () => Promise<T>, ended: AbortSignal): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    try {
      return await ask()
    } catch (error) {
      if (!isOutage(error) || ended.aborted) throw error
    }
    await sleep(pauseMs / 2 + (Math.random() * pauseMs) / 2, undefined, { signal: ended })
  }
}

function endOf(patienceMs: number, signal: AbortSignal | undefined, answered: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const aborted = () => reject(signal?.reason)
    const timer = setTimeout(() => reject(unavailable(undefined)), patienceMs)
    signal?.addEventListener('abort', aborted, { once: true, signal: answered })
    answered.addEventListener('abort', () => clearTimeout(timer), { once: true })
  })
}

/** Asks once, for somebody who can ask again. @throws ServiceError `unavailable` when the database is away */
export async function unlessAway<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    throw isOutage(error) ? unavailable(error) : error
  }
}

export const unavailable = (cause: unknown): ServiceError =>
  new ServiceError('unavailable', { reason: 'the database does not answer' }, { cause })

/** SQLSTATE classes and codes of a server that is there and cannot serve: connection, resources, shutdown, read-only. */
const AWAY = /^(08|53|57P0[1-5]|57014|25006)/
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  // The server's socket in the file system, while it is down.
  'ENOENT',
])
/** `pg` says these without a code. */
const LOST = /timeout exceeded when trying to connect|Query read timeout|Connection terminated|connection error/i
const SQLSTATE = /^[0-9A-Z]{5}$/

/** Whether a failure means that nobody is there to answer, and not an answer. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof ServiceError) return false
  const code = 'code' in error ? String(error.code) : ''
  if (UNREACHABLE.has(code)) return true
  if (SQLSTATE.test(code)) return AWAY.test(code)
  return LOST.test(error.message)
}
