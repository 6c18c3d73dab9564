/**
 * The slider: the session as it stood after any of its events, or played again.
 */
import { useEffect, useState } from 'preact/hooks'
import type { LoggedEvent } from '../../src/protocol/events.js'
import { time } from '../format.js'

interface Props {
  readonly events: readonly LoggedEvent[]
  /** Events that are shown; undefined: all, as they happen. */
  readonly place: number | undefined
  readonly onPlace: (place: number | undefined) => void
}

/** Played at the pace at which it happened, between these. */
const MIN_PAUSE_MS = 80
const MAX_PAUSE_MS = 900

export function Replay({ events, place, onPlace }: Props) {
  const [playing, setPlaying] = useState(false)
  const count = events.length
  const shown = place ?? count
  const event = events[shown - 1]
  useEffect(() => {
    if (!playing || place === undefined) return
    if (place >= count) {
      setPlaying(false)
      onPlace(undefined)
      return
    }
    const timer = setTimeout(() => onPlace(place + 1), pauseBetween(events[place - 1], events[place]))
    return () => clearTimeout(timer)
  }, [playing, place, count])

  if (count === 0) return null
  const step = (by: number): void => {
    setPlaying(false)
    onPlace(Math.min(count, Math.max(1, shown + by)))
  }
  const play = (): void => {
    if (!playing && (place === undefined || place >= count)) onPlace(1)
    setPlaying(!playing)
  }
  const words = event ? `${event.type.replaceAll('_', ' ')}, ${time(Date.parse(event.timestamp))}` : ''
  return (
    <fieldset class="replay" aria-label="Replay">
      <button type="button" aria-label="Step back" disabled={shown <= 1} onClick={() => step(-1)}>
        ‹
      </button>
      <button type="button" class="replay-play" onClick={play}>
        {playing ? 'Pause' : 'Play'}
      </button>
      <button type="button" aria-label="Step forward" disabled={shown >= count} onClick={() => step(1)}>
        ›
      </button>
      <input
        type="range"
        min={1}
        max={count}
        value={shown}
        aria-label="Position in the log"
        aria-valuetext={`event ${shown} of ${count}: ${words}`}
        onInput={({ currentTarget }) => {
          setPlaying(false)
          onPlace(Number(currentTarget.value))
        }}
      />
      <span class="replay-place figure" data-test="place">
        {shown}/{count}
      </span>
      <span class="replay-event quiet">{place === undefined ? '' : words}</span>
      <button
        type="button"
        class="replay-live"
        aria-pressed={place === undefined}
        onClick={() => {
          setPlaying(false)
          onPlace(undefined)
        }}
      >
        Latest
      </button>
    </fieldset>
  )
}

function pauseBetween(before: LoggedEvent | undefined, after: LoggedEvent | undefined): number {
  if (!before || !after) return MIN_PAUSE_MS
  const ms = Date.parse(after.timestamp) - Date.parse(before.timestamp)
  return Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, ms))
}
