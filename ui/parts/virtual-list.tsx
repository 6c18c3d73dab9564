/**
 * A list of any length of which only what is seen is drawn: a listbox with one tab stop, moved in by the arrow keys.
 */
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

interface Props<T> {
  readonly items: readonly T[]
  readonly keyOf: (item: T) => string
  readonly row: (item: T) => ComponentChildren
  /** Height of each row, in pixels. */
  readonly rowHeight: number
  readonly label: string
  readonly selected: string | undefined
  readonly onSelect: (item: T) => void
  /** Told when the end comes near, again and again until the list is longer. */
  readonly onEndNear?: (() => void) | undefined
}

/** Rows drawn above and below what is seen, so that scrolling shows no gap. */
const OVERSCAN = 6
/** Rows before the end at which more is asked for. */
const NEAR = 60

export function VirtualList<T>({ items, keyOf, row, rowHeight, label, selected, onSelect, onEndNear }: Props<T>) {
  const box = useRef<HTMLDivElement>(null)
  const [view, setView] = useState({ top: 0, height: 600 })
  const [activeKey, setActiveKey] = useState(selected)
  const active = items.findIndex((item) => keyOf(item) === activeKey)

  useEffect(() => setActiveKey(selected), [selected])
  useLayoutEffect(() => {
    const element = box.current
    if (!element) return
    const observer = new ResizeObserver(() => setView((it) => ({ ...it, height: element.clientHeight })))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  const first = Math.max(0, Math.floor(view.top / rowHeight) - OVERSCAN)
  const last = Math.min(items.length, Math.ceil((view.top + view.height) / rowHeight) + OVERSCAN)

  useEffect(() => {
    if (last > items.length - NEAR) onEndNear?.()
  }, [last, items.length, onEndNear])

  const moveTo = (index: number): void => {
    const item = items[Math.max(0, Math.min(items.length - 1, index))]
    const element = box.current
    if (!item || !element) return
    setActiveKey(keyOf(item))
    const top = items.indexOf(item) * rowHeight
    if (top < element.scrollTop) element.scrollTop = top
    else if (top + rowHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + rowHeight - element.clientHeight
    }
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor(view.height / rowHeight) - 1)
    const steps: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }
    const step = steps[event.key]
    const item = items[active]
    if (step !== undefined) moveTo(active === -1 ? 0 : active + step)
    else if (event.key === 'Home') moveTo(0)
    else if (event.key === 'End') moveTo(items.length - 1)
    else if ((event.key === 'Enter' || event.key === ' ') && item) onSelect(item)
    else return
    event.preventDefault()
  }

  return (
    <div
      ref={box}
      class="virtual"
      role="listbox"
      tabIndex={0}
      aria-label={label}
      aria-activedescendant={active >= first && active < last ? `row-${activeKey}` : undefined}
      onKeyDown={onKeyDown}
      onScroll={({ currentTarget }) => setView({ top: currentTarget.scrollTop, height: currentTarget.clientHeight })}
    >
      <div class="virtual-space" style={{ height: `${items.length * rowHeight}px` }}>
        {items.slice(first, last).map((item, offset) => {
          const key = keyOf(item)
          return (
            // biome-ignore lint/a11y/useFocusableInteractive: the list has the focus, and names the row that is active
            // biome-ignore lint/a11y/useKeyWithClickEvents: keys are the list's to handle
            <div
              key={key}
              id={`row-${key}`}
              class={`virtual-row${key === activeKey ? ' is-active' : ''}`}
              role="option"
              aria-selected={key === selected}
              aria-setsize={items.length}
              aria-posinset={first + offset + 1}
              style={{ top: `${(first + offset) * rowHeight}px`, height: `${rowHeight}px` }}
              onClick={() => onSelect(item)}
            >
              {row(item)}
            </div>
          )
        })}
      </div>
    </div>
  )
}
