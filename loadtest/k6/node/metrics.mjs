/**
 * `k6/metrics` as far as the scripts of this project use it, and what k6 makes of them at its end.
 */
/** Of one metric; a run of an hour at 100 values a second stays below it, later values replace the first ones. */
const MAX_VALUES = 500_000

export const metrics = new Map()

export class Counter {
  constructor(name) {
    this.count = 0
    metrics.set(name, this)
  }

  add(value) {
    this.count += value
  }

  get values() {
    return { count: this.count }
  }
}

export class Trend {
  constructor(name) {
    this.numbers = []
    this.added = 0
    metrics.set(name, this)
  }

  add(value) {
    this.numbers[this.added++ % MAX_VALUES] = value
  }

  get values() {
    const sorted = this.numbers.toSorted((a, b) => a - b)
    const at = (share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
    return { med: at(0.5), 'p(99)': at(0.99), max: sorted.at(-1) ?? 0, count: this.added }
  }
}

/** Names of the metrics that cross one of their thresholds, such as `count==0` or `p(99)<1000`. */
export function crossed(thresholds) {
  return Object.entries(thresholds)
    .filter(([name, rules]) => !rules.every((rule) => holds(rule, metrics.get(name)?.values ?? {})))
    .map(([name]) => name)
}

function holds(rule, values) {
  const [, name, operator, limit] = /^(\S+?)(==|<=|>=|<|>)(\S+)$/.exec(rule) ?? []
  if (operator === undefined) throw new Error(`a threshold is a value, an operator and a number, not ${rule}`)
  const value = values[name] ?? 0
  const bound = Number(limit)
  return { '==': value === bound, '<=': value <= bound, '>=': value >= bound, '<': value < bound, '>': value > bound }[
    operator
  ]
}
