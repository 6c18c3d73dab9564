/**
 * What was used in the last hours or weeks, as a chart.
 */
import { useEffect, useMemo, useState } from 'preact/hooks'
import type { UsageReport } from '../../src/protocol/budgets.js'
import { dayOf, dollars, number, short, time } from '../format.js'
import { useLoaded } from '../loaded.js'
import { type Dimension, type Granularity, type Measure, stacksOf } from '../model/series.js'
import { StackedChart } from '../parts/stacked-chart.js'
import { Empty, Failure, Loading, Stale } from '../parts/states.js'
import { useService } from '../service.js'

const EVERY_MS = 30_000
const HOUR_MS = 3_600_000
const RANGES = {
  '24 hours': { ms: 24 * HOUR_MS, granularity: 'hourly' },
  '7 days': { ms: 7 * 24 * HOUR_MS, granularity: 'daily' },
  '30 days': { ms: 30 * 24 * HOUR_MS, granularity: 'daily' },
} as const satisfies Record<string, { ms: number; granularity: Granularity }>
type Range = keyof typeof RANGES
const DIMENSIONS: readonly Dimension[] = ['model', 'orchestrator', 'session', 'tool']
const MEASURES: readonly Measure[] = ['tokens', 'cost']

export function Usage({ onOrchestrators }: { onOrchestrators: (names: readonly string[]) => void }) {
  const { api } = useService()
  const [range, setRange] = useState<Range>('24 hours')
  const [by, setBy] = useState<Dimension>('model')
  const [measure, setMeasure] = useState<Measure>('tokens')
  const { ms, granularity } = RANGES[range]
  const { data, error, reload } = useLoaded(
    `${range}|${by}`,
    (signal) => {
      const to = new Date()
      const from = new Date(to.getTime() - ms)
      return api.usage({ from: from.toISOString(), to: to.toISOString(), granularity, groupBy: by }, signal)
    },
    EVERY_MS,
  )
  useEffect(() => {
    if (data && by === 'orchestrator')
      onOrchestrators([...new Set(data.breakdown.map((row) => row.orchestrator ?? ''))])
  }, [data, by])
  return (
    <section class="usage" aria-labelledby="usage-title">
      <div class="tools">
        <h2 id="usage-title">Usage</h2>
        <Choice label="Range" options={Object.keys(RANGES) as Range[]} value={range} onChange={setRange} />
        <Choice label="Grouped by" options={DIMENSIONS} value={by} onChange={setBy} />
        <Choice label="Measured in" options={MEASURES} value={measure} onChange={setMeasure} />
      </div>
      {!data && error && <Failure what="Usage" error={error} retry={reload} />}
      {!data && !error && <Loading what="usage" />}
      <Stale error={data && error} />
      {data && <Report report={data} by={by} measure={measure} granularity={granularity} />}
    </section>
  )
}

interface ChoiceProps<T extends string> {
  readonly label: string
  readonly options: readonly T[]
  readonly value: T
  readonly onChange: (value: T) => void
}

function Choice<T extends string>({ label, options, value, onChange }: ChoiceProps<T>) {
  return (
    <label class="inline">
      {label}
      <select value={value} onChange={({ currentTarget }) => onChange(currentTarget.value as T)}>
        {options.map((option) => (
          <option key={option} value={option}>
            {option}
          </option>
        ))}
      </select>
    </label>
  )
}

interface ReportProps {
  readonly report: UsageReport
  readonly by: Dimension
  readonly measure: Measure
  readonly granularity: Granularity
}

function Report({ report, by, measure, granularity }: ReportProps) {
  const stacks = useMemo(() => stacksOf(report, by, measure, granularity), [report, by, measure, granularity])
  const { calls, promptTokens, cachedTokens, completionTokens, cost } = report.summary
  if (calls === 0)
    return <Empty title="Nothing was used in this time">Model calls of all sessions are counted here.</Empty>
  const facts = [
    ['Model calls', number(calls)],
    ['Prompt tokens', short(promptTokens)],
    ['of them cached', short(cachedTokens)],
    ['Completion tokens', short(completionTokens)],
    ['Cost', dollars(cost)],
    ['At this rate, a month', dollars(report.costEstimate.monthly)],
  ] as const
  return (
    <>
      <dl class="figures">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <StackedChart
        stacks={stacks}
        label={`${measure} by ${by}, ${granularity}`}
        figure={measure === 'cost' ? dollars : short}
        timeLabel={granularity === 'hourly' ? (at) => time(at).slice(0, 5) : dayOf}
      />
      {report.truncated && <p class="quiet">There is more than a report shows: choose a shorter range.</p>}
    </>
  )
}
