/**
 * What stands where data does not: it is on its way, there is none, or it could not be had.
 */
import type { ComponentChildren } from 'preact'
import { reasonOf } from '../service.js'

export function Loading({ what, lines = 6 }: { what: string; lines?: number }) {
  return (
    <div class="loading" role="status" aria-label={`Loading ${what}`}>
      {Array.from({ length: lines }, (_, line) => (
        <div key={line} class="loading-line" aria-hidden="true" />
      ))}
    </div>
  )
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  )
}

export function Failure({ what, error, retry }: { what: string; error: unknown; retry: () => void }) {
  return (
    <div class="failure" role="alert">
      <p>
        <strong>{what} could not be loaded.</strong> {reasonOf(error)}
      </p>
      <button type="button" onClick={retry}>
        Try again
      </button>
    </div>
  )
}

/** Shown above data that is older than the last attempt to refresh it. */
export function Stale({ error }: { error: Error | undefined }) {
  if (!error) return null
  return (
    <p class="stale" role="status">
      Not refreshed: {reasonOf(error)}
    </p>
  )
}
