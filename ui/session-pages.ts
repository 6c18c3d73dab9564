/**
 * The list of sessions as far as it has been looked at: pages are fetched as somebody scrolls, and the newest again and again.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { Session } from '../src/protocol/session.js'
import { useLoaded } from './loaded.js'
import { joined, renewed } from './model/rows.js'
import { useService } from './service.js'

export interface SessionFilter {
  readonly q: string
  readonly status: string
}

export interface SessionPages {
  /** Undefined before the first answer. */
  readonly rows: readonly Session[] | undefined
  readonly isWhole: boolean
  readonly error: Error | undefined
  readonly loadMore: () => void
  readonly reload: () => void
}

const PAGE = 200
const EVERY_MS = 5_000

export function useSessionPages({ q, status }: SessionFilter): SessionPages {
  const { api } = useService()
  const key = `${q}|${status}`
  const head = useLoaded(key, (signal) => api.sessions({ q, status, limit: PAGE }, signal), EVERY_MS)
  const [tail, setTail] = useState<{ key: string; rows: readonly Session[]; cursor: string | undefined }>()
  const [tailError, setTailError] = useState<Error>()
  const loading = useRef<string | undefined>(undefined)
  const current = tail?.key === key ? tail : undefined

  // Only the first answer says where the next page begins: later ones begin elsewhere.
  useEffect(() => {
    if (head.data && !current) setTail({ key, rows: head.data.rows, cursor: head.data.cursor })
    else if (head.data && current) setTail({ ...current, rows: renewed(current.rows, head.data.rows) })
  }, [head.data])

  const loadMore = useCallback(() => {
    const cursor = current?.cursor
    if (!current || cursor === undefined || loading.current === cursor) return
    loading.current = cursor
    api.sessions({ q, status, limit: PAGE, cursor }).then(
      (page) => {
        loading.current = undefined
        setTailError(undefined)
        setTail((now) =>
          now?.key === key && now.cursor === cursor
            ? { key, rows: joined(now.rows, page.rows), cursor: page.cursor }
            : now,
        )
      },
      (error: Error) => {
        loading.current = undefined
        setTailError(error)
      },
    )
  }, [api, key, current])

  // A page of a search ends where enough was looked at, whatever was found: what fits may stand behind it.
  useEffect(() => {
    if (current?.rows.length === 0) loadMore()
  }, [current, loadMore])

  return {
    rows: current?.rows,
    isWhole: current !== undefined && current.cursor === undefined,
    error: head.error ?? tailError,
    loadMore,
    reload: head.reload,
  }
}
