/**
 * Keeps a vendor's stream honest: it ends at once when aborted and fails when nothing comes for too long. The SDKs do
 * neither: they end an aborted stream as if it were complete, and wait for ever on a silent connection.
 */

/** A reasoning model may think for minutes before its first token; five without any byte is a dead connection. */
export const STREAM_IDLE_MS = 300_000

/** The stream broke the protocol: it stalled, or ended without saying why. */
export class StreamBroken extends Error {
  override readonly name = 'StreamBroken'
}

/**
 * Passes on what `open` streams. Throws `AbortError` on abort and `StreamBroken` after `idleMs` without an item. The
 * signal given to `open` belongs to this one stream and is aborted when it ends in any way, so that no request outlives
 * its reader and the SDKs, which keep their listeners, do not pile them up on the turn's signal.
 */
export async function* guarded<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  signal: AbortSignal,
  idleMs = STREAM_IDLE_MS,
): AsyncGenerator<T, void, undefined> {
  if (signal.aborted) throw abortError(signal)
  const request = new AbortController()
  const iterator = open(request.signal)[Symbol.asyncIterator]()
  let fail: (reason: Error) => void = () => {}
  const onAbort = () => fail(abortError(signal))
  const timer = setTimeout(() => fail(new StreamBroken(`no data for ${idleMs} ms`)), idleMs)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        fail = reject
        timer.refresh()
        iterator.next().then(resolve, reject)
      })
      if (next.done) return
      yield next.value
      if (signal.aborted) throw abortError(signal)
    }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    request.abort()
    // Not awaited: a source that hangs must not hold the caller. Its late failure has nobody left to tell.
    iterator.return?.().catch(() => {})
  }
}

/** The error of an aborted call: the signal's own reason when that is an `AbortError`. */
export function abortError(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  if (reason instanceof Error && reason.name === 'AbortError') return reason
  return Object.assign(new Error('The call was aborted', { cause: reason }), { name: 'AbortError' })
}
