/**
 * What a view has asked the service for: loading, there, or failed; what was there stays while it is asked for again.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'

export interface Loaded<T> {
  readonly data: T | undefined
  /** Why the last attempt failed; `data` may be older. */
  readonly error: Error | undefined
  reload(): void
}

/**
 * Asks when the view appears and whenever `key` changes, and with `everyMs` again that long after each answer, while the
 * page is looked at. An answer to an older key is dropped.
 */
export function useLoaded<T>(key: string, ask: (signal: AbortSignal) => Promise<T>, everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ key: string; data?: T; error?: Error }>({ key })
  const [attempt, setAttempt] = useState(0)
  const question = useRef(ask)
  question.current = ask
  useEffect(() => {
    const control = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const again = (): void => {
      if (everyMs !== undefined && !control.signal.aborted) timer = setTimeout(() => run(), everyMs)
    }
    const run = (isFirst = false): void => {
      if (document.hidden && !isFirst) {
        again()
        return
      }
      question.current(control.signal).then(
        (data) => {
          if (!control.signal.aborted) setState({ key, data })
          again()
        },
        (error: Error) => {
          if (control.signal.aborted) return
          setState((before) => (before.key === key ? { ...before, error } : { key, error }))
          again()
        },
      )
    }
    run(true)
    return () => {
      control.abort()
      clearTimeout(timer)
    }
  }, [key, everyMs, attempt])
  const reload = useCallback(() => setAttempt((count) => count + 1), [])
  const current = state.key === key
  return { data: current ? state.data : undefined, error: current ? state.error : undefined, reload }
}
