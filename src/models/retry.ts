/**
 * Repeats a model call while that is invisible: nothing of the answer has been passed on yet. Both vendors share it;
 * their SDKs' own retries are off, so that one place knows how often a request was sent.
 */
import { backoffMs, pause, type RetryPolicy } from './backoff.js'
import { asCut, modelErrorOf } from './failure.js'
import type { ModelError } from './model.js'
import { abortError } from './stream-guard.js'

/** Vendors' overload lasts seconds: three repeats in a minute pass most of it, more would only hold the turn's slot. */
export const DEFAULT_RETRY: RetryPolicy = { attempts: 4, baseMs: 500, capMs: 8_000, totalMs: 60_000 }

/**
 * Streams `call()`. A retryable failure before the first chunk is repeated with backoff and jitter, honouring the
 * vendor's `retry-after`; a failure after it is thrown as `ModelError` of kind `cut`. Aborting ends it at once.
 */
export async function* retryUntilFirst<T>(
  call: () => AsyncIterable<T>,
  signal: AbortSignal,
  policy: RetryPolicy = DEFAULT_RETRY,
  /** What no error may repeat. */
  key?: string,
): AsyncGenerator<T, void, undefined> {
  const deadline = performance.now() + policy.totalMs
  for (let attempt = 1; ; attempt++) {
    let shown = false
    try {
      for await (const chunk of call()) {
        shown = true
        yield chunk
      }
      return
    } catch (thrown) {
      if (signal.aborted) throw abortError(signal)
      const error = modelErrorOf(thrown, key)
      if (shown) throw asCut(error)
      await waitBeforeRepeat(error, attempt, deadline, signal, policy)
    }
  }
}

async function waitBeforeRepeat(
  error: ModelError,
  attempt: number,
  deadline: number,
  signal: AbortSignal,
  policy: RetryPolicy,
): Promise<void> {
  const waitMs = error.retryAfterMs ?? backoffMs(attempt, policy)
  if (!error.retryable || attempt >= policy.attempts || performance.now() + waitMs > deadline) throw error
  await pause(waitMs, signal)
}
