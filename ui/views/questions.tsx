/**
 * Tool calls that wait for a person, of the sessions that were looked at: the ones to look at first.
 */
import type { Session } from '../../src/protocol/session.js'
import { plural } from '../format.js'

/** More would push the list away; who has answered these sees the next. */
const MAX_SHOWN = 5

export function Questions({ rows, onOpen }: { rows: readonly Session[]; onOpen: (sessionId: string) => void }) {
  const waiting = rows.flatMap(({ id, pendingApprovals = [] }) => pendingApprovals.map((each) => ({ ...each, id })))
  if (waiting.length === 0) return null
  return (
    <section class="questions" aria-labelledby="questions-title">
      <h2 id="questions-title">
        {plural(waiting.length, 'tool call')} {waiting.length === 1 ? 'waits' : 'wait'} for approval
      </h2>
      <ul>
        {waiting.slice(0, MAX_SHOWN).map(({ approvalId, id, toolName, reason }) => (
          <li key={approvalId}>
            <button type="button" class="link-like" title={reason} onClick={() => onOpen(id)}>
              <code>{toolName}</code> {reason}
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}
