/**
 * Budgets: how much of each limit is used, and by whom, when and with which model.
 */
import { useMemo, useState } from 'preact/hooks'
import type { BudgetUse } from '../../src/protocol/budgets.js'
import { seesTenant } from '../../src/protocol/permissions.js'
import { exact, number, percent, short } from '../format.js'
import { useLoaded } from '../loaded.js'
import { Bar, Tag, toneOf } from '../parts/marks.js'
import { ScrollBox } from '../parts/scroll-box.js'
import { SearchField } from '../parts/search-field.js'
import { Empty, Failure, Loading, Stale } from '../parts/states.js'
import { go, hashOf, type Route } from '../route.js'
import { useService } from '../service.js'
import { Usage } from './usage.js'

const EVERY_MS = 10_000
/** The orchestrator of whoever names none. */
const DEFAULT_ORCHESTRATOR = 'default'

export function BudgetsView({ route: { query } }: { route: Route }) {
  const { who } = useService()
  const { orchestrator = DEFAULT_ORCHESTRATOR, session = '' } = query
  const [names, setNames] = useState<readonly string[]>([])
  const show = (more: Record<string, string>): void => go(hashOf('budgets', undefined, { ...query, ...more }), true)
  const bySession = !seesTenant(who.role)
  return (
    <div class="page">
      <h1>Budgets</h1>
      <div class="tools">
        {bySession ? (
          <SearchField label="Session id" value={session} onChange={(text) => show({ session: text.trim() })} />
        ) : (
          <>
            <label class="inline">
              Orchestrator
              <input
                value={orchestrator}
                list="orchestrators"
                maxLength={128}
                onChange={({ currentTarget }) => show({ orchestrator: currentTarget.value.trim() })}
              />
            </label>
            <datalist id="orchestrators">
              {names.map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </>
        )}
      </div>
      {bySession && session === '' ? (
        <Empty title="Whose budgets?">Give the id of one of your sessions.</Empty>
      ) : (
        <Uses orchestrator={orchestrator} session={session} />
      )}
      <Usage onOrchestrators={setNames} />
    </div>
  )
}

function Uses({ orchestrator, session }: { orchestrator: string; session: string }) {
  const { api } = useService()
  const ask = (signal: AbortSignal) => api.budgets(session === '' ? orchestrator : '', session, signal)
  const { data, error, reload } = useLoaded(`${orchestrator}|${session}`, ask, EVERY_MS)
  const sorted = useMemo(() => [...(data ?? [])].sort((a, b) => b.percent - a.percent), [data])
  if (!data && error) return <Failure what="Budgets" error={error} retry={reload} />
  if (!data) return <Loading what="budgets" lines={4} />
  if (data.length === 0)
    return <Empty title="No budget limits this">Limits come from the settings, the charter and overrides.</Empty>
  return (
    <>
      <Stale error={error} />
      <ScrollBox class="table-box" label="Budgets and what is used of them">
        <table>
          <thead>
            <tr>
              <th scope="col">Whose</th>
              <th scope="col">Period</th>
              <th scope="col">Used</th>
              <th scope="col" class="figure">
                Tokens
              </th>
              <th scope="col" class="figure">
                Held by calls
              </th>
              <th scope="col" class="figure">
                Left
              </th>
              <th scope="col">Status</th>
              <th scope="col">Begins anew</th>
            </tr>
          </thead>
          <tbody>
            {sorted.map((use) => (
              <Use key={`${use.scope} ${use.id} ${use.period}`} use={use} />
            ))}
          </tbody>
        </table>
      </ScrollBox>
    </>
  )
}

function Use({
  use: { scope, id, period, used, limit, reserved, remaining, percent: share, status, resetsAt },
}: {
  use: BudgetUse
}) {
  return (
    <tr>
      <th scope="row">
        {id} <span class="quiet">{scope}</span>
      </th>
      <td>{period}</td>
      <td>
        <span class="load">
          <Bar value={used} max={limit} label={`${percent(share)} used`} tone={toneOf(status)} />
          <span class="figure">{percent(share)}</span>
        </span>
      </td>
      <td class="figure" title={`${number(used)} of ${number(limit)}`}>
        {short(used)} / {short(limit)}
      </td>
      <td class="figure">{short(reserved)}</td>
      <td class="figure">{short(remaining)}</td>
      <td>
        <Tag state={status} tone={status === 'healthy' ? 'good' : toneOf(status)} />
      </td>
      <td class="quiet">{resetsAt === null ? 'never' : exact(resetsAt)}</td>
    </tr>
  )
}
