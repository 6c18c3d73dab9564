/**
 * The log of one session, from its first event on and as it grows: through the client library, which sees to order and to
 * lost connections.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { FROM_START, type SessionHandle } from '../src/client/client.js'
import type { LoggedEvent, ServerMessage } from '../src/protocol/events.js'
import { Story } from './model/story.js'
import { announce } from './parts/announcer.js'
import { useService } from './service.js'

export interface SessionLog {
  readonly events: readonly LoggedEvent[]
  readonly story: Story
  /** Undefined until the session is watched. */
  readonly handle: SessionHandle | undefined
  readonly state: 'opening' | 'live' | 'over' | 'failed'
  readonly error: Error | undefined
}

/** Changes with every drawing, so that what depends on the log knows that it has grown. */
export interface DrawnLog extends SessionLog {
  readonly version: number
  retry(): void
}

/** What has happened before we came is not news. */
const SETTLED_MS = 1_000

export function useSessionLog(id: string): DrawnLog {
  const { client } = useService()
  const [version, setVersion] = useState(0)
  const [attempt, setAttempt] = useState(0)
  const log = useRef<Writable<SessionLog>>(emptyLog())

  useEffect(() => {
    const mine = emptyLog()
    log.current = mine
    let frame = 0
    let gone = false
    const draw = (): void => {
      // Text comes in pieces far smaller than what an eye can follow: one drawing for each picture of the screen.
      if (!gone)
        frame ||= requestAnimationFrame(() => {
          frame = 0
          setVersion((count) => count + 1)
        })
    }
    const openedAt = performance.now()
    const read = async (): Promise<void> => {
      const handle = await client.attach(id, FROM_START)
      if (gone) {
        handle.close()
        return
      }
      Object.assign(mine, { handle, state: 'live' })
      draw()
      for await (const message of handle) {
        take(mine, message, performance.now() - openedAt > SETTLED_MS)
        draw()
      }
      mine.state = 'over'
    }
    read()
      .catch((error: Error) => Object.assign(mine, { error, state: 'failed' }))
      .finally(draw)
    draw()
    return () => {
      gone = true
      cancelAnimationFrame(frame)
      mine.handle?.close()
    }
  }, [client, id, attempt])

  return { ...log.current, version, retry: () => setAttempt((count) => count + 1) }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

const emptyLog = (): Writable<SessionLog> => ({
  ...{ events: [], story: new Story(), handle: undefined, state: 'opening', error: undefined },
})

function take(log: Writable<SessionLog>, message: ServerMessage, isNews: boolean): void {
  if (message.type === 'stream_chunk') log.story.text(message)
  else if (message.type === 'subscribed') {
    log.events = []
    log.story = new Story()
    if (message.session) log.story.beginWith(message.session)
  } else if ('eventId' in message) {
    ;(log.events as LoggedEvent[]).push(message)
    log.story.tell(message)
    const news = isNews ? newsOf(message) : undefined
    if (news) announce(news)
  }
}

/** What is worth interrupting a listener for. */
function newsOf(event: LoggedEvent): string | undefined {
  switch (event.type) {
    case 'approval_request':
      return `${event.toolName} waits for approval`
    case 'tool_call_start':
      return `${event.data.toolName} is running`
    case 'task_completed':
      return 'Task completed'
    case 'task_failed':
      return `Task failed: ${event.error}`
    case 'task_cancelled':
      return 'Task cancelled'
    case 'session_takeover':
      return 'Another worker has taken over'
    default:
      return undefined
  }
}
