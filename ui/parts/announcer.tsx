/**
 * Says to screen readers what happened, at most every few seconds: of many things the last one and how many there were.
 */
import { useEffect, useState } from 'preact/hooks'

/** Long enough to be read out before the next one. */
const PAUSE_MS = 3_000

let waiting: string[] = []
let wake: (() => void) | undefined

export function announce(text: string): void {
  waiting.push(text)
  wake?.()
}

export function Announcer() {
  const [text, setText] = useState('')
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const say = (): void => {
      timer = undefined
      if (waiting.length === 0) return
      const others = waiting.length - 1
      setText(others === 0 ? (waiting[0] ?? '') : `${waiting.at(-1)}, and ${others} more`)
      waiting = []
      timer = setTimeout(say, PAUSE_MS)
    }
    wake = () => {
      timer ??= setTimeout(say)
    }
    return () => {
      clearTimeout(timer)
      wake = undefined
      waiting = []
    }
  }, [])
  return (
    <div class="unseen" aria-live="polite" data-test="announcer">
      {text}
    </div>
  )
}
