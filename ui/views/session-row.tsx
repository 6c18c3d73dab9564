/**
 * One session in the list: what it is about, how it stands, and what it has used.
 */
import type { Session } from '../../src/protocol/session.js'
import { ago, dollars, exact, short } from '../format.js'
import { Tag } from '../parts/marks.js'

/** Every row has it: the list counts with it. */
export const ROW_HEIGHT = 52

export function SessionRow({ session }: { session: Session }) {
  const { id, task, status, orchestratorId, type, startedAt, metrics, cost, pendingApprovals } = session
  const waits = pendingApprovals?.length ?? 0
  return (
    <>
      <span class="row-line">
        <span class="row-title">{task?.description.slice(0, 200) ?? id}</span>
        {waits > 0 ? <Tag state="asks" tone="warn" /> : <Tag state={status} />}
      </span>
      <span class="row-line quiet">
        <span class="row-meta">
          {orchestratorId} · {type}
        </span>
        {metrics.tokensUsed > 0 && (
          <span class="figure">
            {short(metrics.tokensUsed)} tokens · {dollars(cost)}
          </span>
        )}
        <time class="figure row-age" dateTime={startedAt} title={exact(startedAt)}>
          {ago(startedAt)}
        </time>
      </span>
    </>
  )
}
