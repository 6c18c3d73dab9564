/**
 * All sessions that one may see, and the one that is open beside them.
 */
import { useState } from 'preact/hooks'
import type { Session } from '../../src/protocol/session.js'
import { SESSION_STATUSES } from '../../src/protocol/session-words.js'
import { number, plural } from '../format.js'
import { SearchField } from '../parts/search-field.js'
import { Empty, Failure, Loading, Stale } from '../parts/states.js'
import { VirtualList } from '../parts/virtual-list.js'
import { go, hashOf, type Route } from '../route.js'
import { useService } from '../service.js'
import { useSessionPages } from '../session-pages.js'
import { NewSession } from './new-session.js'
import { Questions } from './questions.js'
import { SessionView } from './session.js'
import { ROW_HEIGHT, SessionRow } from './session-row.js'

export function SessionsView({ route: { id, query } }: { route: Route }) {
  const service = useService()
  const { q = '', status = '' } = query
  const [spawning, setSpawning] = useState(false)
  const show = (more: Record<string, string>): void => go(hashOf('sessions', id, { q, status, ...more }), true)
  const open = (session: string): void => go(hashOf('sessions', session, { q, status }))
  return (
    <div class={`sessions${id === undefined ? '' : ' has-open'}`}>
      <section class="sessions-list" aria-labelledby="sessions-title">
        <div class="sessions-head">
          <h1 id="sessions-title">Sessions</h1>
          {service.may('spawn_session') && (
            <button type="button" class="primary" onClick={() => setSpawning(true)}>
              New session
            </button>
          )}
        </div>
        <div class="tools">
          <SearchField label="Search sessions" value={q} onChange={(text) => show({ q: text })} />
          <label>
            <span class="unseen">Status</span>
            <select value={status} onChange={({ currentTarget }) => show({ status: currentTarget.value })}>
              <option value="">Any status</option>
              {SESSION_STATUSES.map((each) => (
                <option key={each} value={each}>
                  {each}
                </option>
              ))}
            </select>
          </label>
        </div>
        <List q={q} status={status} selected={id} onOpen={open} />
      </section>
      {id === undefined ? (
        <div class="session-none">
          <Empty title="No session is open">Choose one to watch it live, or to replay what it did.</Empty>
        </div>
      ) : (
        <SessionView key={id} id={id} at={query.at} back={hashOf('sessions', undefined, { q, status })} />
      )}
      {spawning && <NewSession onClose={() => setSpawning(false)} onSpawned={open} />}
    </div>
  )
}

interface ListProps {
  readonly q: string
  readonly status: string
  readonly selected: string | undefined
  readonly onOpen: (id: string) => void
}

function List({ q, status, selected, onOpen }: ListProps) {
  const { rows, isWhole, error, loadMore, reload } = useSessionPages({ q, status })
  if (!rows && error) return <Failure what="Sessions" error={error} retry={reload} />
  if (!rows || (rows.length === 0 && !isWhole)) return <Loading what="sessions" lines={12} />
  if (rows.length === 0) {
    return q === '' && status === '' ? (
      <Empty title="There are no sessions yet">They appear here as soon as somebody spawns one.</Empty>
    ) : (
      <Empty title="No session fits">Search looks at ids, orchestrators and the text of tasks.</Empty>
    )
  }
  return (
    <>
      <Stale error={error} />
      <Questions rows={rows} onOpen={onOpen} />
      <VirtualList<Session>
        items={rows}
        keyOf={({ id }) => id}
        row={(session) => <SessionRow session={session} />}
        rowHeight={ROW_HEIGHT}
        label="Sessions, newest first"
        selected={selected}
        onSelect={({ id }) => onOpen(id)}
        onEndNear={isWhole ? undefined : loadMore}
      />
      <p class="sessions-count quiet" role="status">
        {isWhole ? plural(rows.length, 'session') : `${number(rows.length)} newest, more below`}
      </p>
    </>
  )
}
