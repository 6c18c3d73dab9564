/**
 * One session: what it was given, what it says and does while it does it, and the same again by the slider.
 */
import { useMemo } from 'preact/hooks'
import { ClientError } from '../../src/client/client.js'
import { dollars, exact, short } from '../format.js'
import { type Story, storyUntil } from '../model/story.js'
import { Tag } from '../parts/marks.js'
import { Empty, Failure, Loading } from '../parts/states.js'
import { go, hashOf, route } from '../route.js'
import { type DrawnLog, useSessionLog } from '../session-log.js'
import { Composer } from './composer.js'
import { Replay } from './replay.js'
import { SessionActions } from './session-actions.js'
import { Transcript } from './transcript.js'

interface Props {
  readonly id: string
  /** Id of the event that the replay stands at; undefined: as it happens. */
  readonly at: string | undefined
  readonly back: string
}

export function SessionView({ id, at, back }: Props) {
  const log = useSessionLog(id)
  const { place, setPlace } = usePlace(id, at, log)
  // Drawn again with every piece of text; what was before only changes with the place.
  const past = useMemo(() => (place === undefined ? undefined : storyUntil(log.events, place)), [place, log.events])
  const story = past ?? log.story
  if (log.state === 'opening') return <Loading what="the session" lines={8} />
  if (log.state === 'failed' && log.events.length === 0) return <Missing log={log} back={back} />
  const task = story.session?.task
  return (
    <article class="session" aria-labelledby="session-title">
      <header class="session-head">
        <a class="back" href={back}>
          All sessions
        </a>
        <h2 id="session-title" title={task?.description}>
          {task?.description.slice(0, 300) ?? id}
        </h2>
        <SessionActions log={log} />
        <SessionFacts id={id} story={story} />
      </header>
      {log.state === 'failed' && <Failure what="What follows" error={log.error} retry={log.retry} />}
      <Transcript story={story} log={log} replayed={past !== undefined} />
      <Replay events={log.events} place={place} onPlace={setPlace} />
      {place === undefined && <Composer log={log} />}
    </article>
  )
}

function SessionFacts({ id, story }: { id: string; story: Story }) {
  const { session, status } = story
  return (
    <p class="session-facts">
      {status && <Tag state={status} />}
      {session && (
        <>
          <span>
            {session.orchestratorId} · {session.type}
          </span>
          <time dateTime={session.startedAt} title={exact(session.startedAt)}>
            {exact(session.startedAt)}
          </time>
        </>
      )}
      <span class="figure">{short(story.tokens)} tokens</span>
      <span class="figure">{dollars(story.cost)}</span>
      <code class="session-id">{id}</code>
    </p>
  )
}

function Missing({ log, back }: { log: DrawnLog; back: string }) {
  const { error, retry } = log
  const isMissing = error instanceof ClientError && error.code === 'session_not_found'
  return (
    <div class="session-none">
      {isMissing ? (
        <Empty title="There is no such session">
          It does not exist, or it is not yours to see. <a href={back}>All sessions</a>
        </Empty>
      ) : (
        <Failure what="The session" error={error} retry={retry} />
      )}
    </div>
  )
}

/** Where the replay stands, as a number of events; kept in the address, so that it can be linked to. */
function usePlace(id: string, at: string | undefined, { events }: DrawnLog) {
  const found = at === undefined ? -1 : events.findIndex(({ eventId }) => eventId === at)
  const place = found === -1 ? undefined : found + 1
  const setPlace = (count: number | undefined): void => {
    const { q, status } = route.value.query
    const event = count === undefined ? undefined : events[Math.max(0, count - 1)]
    go(hashOf('sessions', id, { q, status, at: event?.eventId }), true)
  }
  return { place, setPlace }
}
