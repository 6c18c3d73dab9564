/**
 * The charter that holds: what sessions may do, what is asked about, and how much they may use.
 */

import { json, number } from '../format.js'
import { useLoaded } from '../loaded.js'
import { Failure, Loading } from '../parts/states.js'
import { useService } from '../service.js'

const LISTS = [
  ['alwaysReject', 'Always rejected', 'Never runs; the model reads why.'],
  ['escalate', 'Asked of an administrator', 'Waits for an administrator of the tenant.'],
  ['requireConfirmation', 'Asked', 'Waits for whoever may use the session.'],
  ['autoApprove', 'Approved', 'Runs unless another entry asks or forbids.'],
] as const

type Values = Readonly<Record<string, unknown>>

export function CharterView() {
  const { api } = useService()
  const { data, error, reload } = useLoaded('charter', (signal) => api.charter(signal))
  if (!data && error) return <Failure what="The charter" error={error} retry={reload} />
  if (!data) return <Loading what="the charter" />
  const { charter, source } = data
  const heuristics = valuesOf(charter.safetyHeuristics)
  return (
    <div class="page">
      <h1>{String(charter.name ?? valuesOf(charter.identity).name ?? 'Charter')}</h1>
      <p class="lead">
        {String(
          valuesOf(charter.identity).description ??
            charter.mission ??
            charter.role ??
            'Holds for every session of this node.',
        )}
        {source && <span class="quiet"> From {source}.</span>}
      </p>
      <section aria-labelledby="charter-rules">
        <h2 id="charter-rules">What a tool call meets</h2>
        <p class="quiet">The strictest entry that fits decides.</p>
        <div class="rules">
          <RuleList
            name="hardConstraints"
            title="Hard constraints"
            what="Rejected, whatever else is written."
            entries={entriesOf(charter.hardConstraints)}
          />
          {LISTS.map(([name, title, what]) => (
            <RuleList key={name} name={name} title={title} what={what} entries={entriesOf(heuristics[name])} />
          ))}
        </div>
      </section>
      <section aria-labelledby="charter-limits">
        <h2 id="charter-limits">Limits</h2>
        <Limits limits={flat(valuesOf(charter.resourceLimits))} />
      </section>
      <details class="raw">
        <summary>Everything, as JSON</summary>
        <pre>{json(charter)}</pre>
      </details>
    </div>
  )
}

interface RuleListProps {
  readonly name: string
  readonly title: string
  readonly what: string
  readonly entries: readonly string[]
}

function RuleList({ name, title, what, entries }: RuleListProps) {
  return (
    <section class={`rule rule-${name}`} aria-label={title}>
      <h3>
        {title} <span class="count">{entries.length}</span>
      </h3>
      <p class="quiet">{what}</p>
      {entries.length === 0 ? (
        <p class="none">No entries</p>
      ) : (
        <ul>
          {entries.map((entry) => (
            <li key={entry}>{entry}</li>
          ))}
        </ul>
      )}
    </section>
  )
}

function Limits({ limits }: { limits: readonly (readonly [string, string])[] }) {
  if (limits.length === 0) return <p class="none">None: those of the settings hold.</p>
  return (
    <dl class="facts">
      {limits.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

const valuesOf = (value: unknown): Values => (typeof value === 'object' && value !== null ? (value as Values) : {})
const entriesOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.map((entry) => String(entry)) : []

/** `tokenBudget.daily` as `Token budget, daily`. */
function flat(values: Values, above = ''): (readonly [string, string])[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const words = name.replace(
      /([a-z])([A-Z])/g,
      (_whole, end: string, start: string) => `${end} ${start.toLowerCase()}`,
    )
    const label = above === '' ? words.charAt(0).toUpperCase() + words.slice(1) : `${above}, ${words}`
    if (typeof value === 'object' && value !== null) return flat(value as Values, label)
    return [[label, typeof value === 'number' ? number(value) : String(value)] as const]
  })
}
