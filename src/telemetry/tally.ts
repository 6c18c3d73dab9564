/**
 * Counters and histograms for what happens with every message: a count is one addition into a number that the caller
 * holds. The figures are put together only when the page is read.
 */
import type { Metric, Registry } from 'prom-client'

type Labels = Readonly<Record<string, string>>

/** One series of a counter. */
export interface Tally {
  count: number
}

interface Sample {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  readonly metricName?: string
}

interface Family {
  readonly name: string
  readonly help: string
  readonly registry: Registry
}

interface Series {
  readonly labels: Labels
  readonly tally: Tally
}

export class TallyCounter {
  readonly #children = new Map<string, Series>()

  constructor(family: Family) {
    register(family, 'counter', () => [...this.#children.values()].map(({ labels, tally }) => sample(labels, tally)))
  }

  /** The series of these labels; keep it rather than ask again. */
  child(labels: Labels): Tally {
    const key = keyOf(labels)
    const known = this.#children.get(key)
    if (known) return known.tally
    const tally = { count: 0 }
    this.#children.set(key, { labels, tally })
    return tally
  }

  series(): Iterable<Series> {
    return this.#children.values()
  }
}

/** A counter that is the sum of some series of another one, by one of its labels. */
export function sumOf(source: TallyCounter, family: Family, by: string, counts: (labels: Labels) => boolean): void {
  register(family, 'counter', () => {
    const sums = new Map<string, number>()
    for (const { labels, tally } of source.series()) {
      const value = labels[by] ?? ''
      if (counts(labels)) sums.set(value, (sums.get(value) ?? 0) + tally.count)
    }
    return [...sums].map(([value, count]) => sample({ [by]: value }, { count }))
  })
}

const sample = (labels: Labels, { count }: Tally): Sample => ({ labels, value: count })

/** One series of a histogram. */
export class TallyBuckets {
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0
  #count = 0

  /** `bounds` rise. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length)
  }

  observe(value: number): void {
    this.#sum += value
    this.#count += 1
    for (let bucket = 0; bucket < this.#bounds.length; bucket++) {
      if (value > (this.#bounds[bucket] ?? 0)) continue
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
      return
    }
  }

  samples(name: string, labels: Labels): Sample[] {
    let below = 0
    const buckets = this.#bounds.map((le, index) => {
      below += this.#counts[index] ?? 0
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below }
    })
    return [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: this.#count },
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: this.#count },
    ]
  }
}

export class TallyHistogram {
  readonly #children = new Map<string, { readonly labels: Labels; readonly buckets: TallyBuckets }>()
  readonly #bounds: readonly number[]

  constructor({ bounds, ...family }: Family & { readonly bounds: readonly number[] }) {
    this.#bounds = bounds
    register(family, 'histogram', () =>
      [...this.#children.values()].flatMap(({ labels, buckets }) => buckets.samples(family.name, labels)),
    )
  }

  /** The series of these labels; keep it rather than ask again. */
  child(labels: Labels): TallyBuckets {
    const key = keyOf(labels)
    const known = this.#children.get(key)
    if (known) return known.buckets
    const buckets = new TallyBuckets(this.#bounds)
    this.#children.set(key, { labels, buckets })
    return buckets
  }
}

const keyOf = (labels: Labels): string => Object.values(labels).join('\n')

// A registry asks its metrics for nothing but these; the declared type is the union of the library's own classes.
function register({ name, help, registry }: Family, type: string, values: () => readonly Sample[]): void {
  const metric = { name, help, type, get: async () => ({ name, help, type, aggregator: 'sum', values: values() }) }
  registry.registerMetric(metric as unknown as Metric)
}
