/**
 * Reads the text that Prometheus reads, by the rules of its exposition format.
 */

export interface Family {
  readonly type: string
  /** By the whole name of the series, labels in the order of their names: `wundr_x_bucket{le="1",name="a"}`. */
  readonly series: ReadonlyMap<string, number>
}

export type MetricsPage = ReadonlyMap<string, Family>

export async function readMetrics(port: number | undefined, path = '/metrics'): Promise<MetricsPage> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`)
  if (response.status !== 200) throw new Error(`the metrics page answered ${response.status}`)
  return parseMetrics(await response.text())
}

export function parseMetrics(text: string): MetricsPage {
  const families = new Map<string, { type: string; series: Map<string, number> }>()
  let current: { type: string; series: Map<string, number> } | undefined
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line)
    if (type) {
      current = { type: type[2] ?? '', series: new Map() }
      families.set(type[1] ?? '', current)
    }
    const sample = /^([a-z_:]+)(?:\{(.*)\})? (\S+)$/i.exec(line)
    if (!sample) continue
    if (!current) throw new Error(`a sample before its family: ${line}`)
    current.series.set(`${sample[1]}${sorted(sample[2])}`, Number(sample[3]))
  }
  return families
}

function sorted(labels: string | undefined): string {
  if (labels === undefined) return ''
  return `{${[...labels.matchAll(/\w+="(?:[^"\\]|\\.)*"/g)]
    .map(([label]) => label)
    .sort()
    .join(',')}}`
}

/** A series that must be there. */
export function valueIn(page: MetricsPage, family: string, series: string): number {
  const value = page.get(family)?.series.get(series)
  const known = [...(page.get(family)?.series.keys() ?? [])].join('\n')
  if (value === undefined) throw new Error(`no ${series} in ${family}, which has:\n${known}`)
  return value
}
