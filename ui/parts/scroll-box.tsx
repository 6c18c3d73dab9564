/**
 * A region that scrolls by itself: with a name, and a stop for the keyboard, without which its end could not be reached.
 */
import type { ComponentChildren, RefObject } from 'preact'

interface Props {
  readonly label: string
  readonly class: string
  readonly children: ComponentChildren
  readonly box?: RefObject<HTMLElement | null>
  readonly busy?: boolean
  readonly onScroll?: (box: HTMLElement) => void
}

export function ScrollBox({ label, class: name, children, box, busy, onScroll }: Props) {
  return (
    <section
      {...(box && { ref: box })}
      class={name}
      aria-label={label}
      aria-busy={busy}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached to be scrolled
      tabIndex={0}
      onScroll={({ currentTarget }) => onScroll?.(currentTarget)}
    >
      {children}
    </section>
  )
}
