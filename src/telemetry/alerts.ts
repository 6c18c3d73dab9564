/**
 * Which conditions of this process somebody should know of, for those who have nobody to gather metrics: looks at its own
 * gauges from time to time, and when somebody asks. A condition is `pending` until it has lasted long enough; its beginning
 * and its end as `firing` are one line of the log each.
 */
import { ALERT_RULES, type AlertRule, type Severity } from './alert-rules.js'
import type { Log } from './log.js'

export interface Alert {
  readonly name: string
  readonly state: 'pending' | 'firing'
  readonly severity: Severity
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  readonly bound: number
  /** ISO 8601; since when it has been true. */
  readonly since: string
  readonly summary: string
}

export interface GaugeSample {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
}

export interface AlertsOptions {
  /** The series of a family; none where this process does not have it. */
  readonly samples: (family: string) => Promise<readonly GaugeSample[]>
  readonly log: Pick<Log, 'info' | 'warn'>
  readonly rules?: readonly AlertRule[]
  readonly now?: () => number
}

/** As often as Prometheus would; a condition is noticed so much later at most. */
const LOOK_MS = 15_000
/** Shown and followed at most: budgets of many orchestrators may be used up together. */
const MAX_ALERTS = 100

interface Followed {
  readonly rule: AlertRule
  readonly labels: GaugeSample['labels']
  readonly since: number
  value: number
  isFiring: boolean
}

export class Alerts {
  readonly #options: AlertsOptions
  readonly #now: () => number
  readonly #followed = new Map<string, Followed>()
  #looking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: AlertsOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), LOOK_MS).unref()
  }

  /** May be called twice. */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Those that are true now, the worst and oldest first. */
  async active(): Promise<readonly Alert[]> {
    await this.#look()
    return [...this.#followed.values()].map(alertOf).sort(byUrgency)
  }

  /** Callers that come meanwhile share it. */
  #look(): Promise<void> {
    this.#looking ??= this.#judge().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #judge(): Promise<void> {
    const { rules = ALERT_RULES } = this.#options
    const found = (await Promise.all(rules.map((rule) => this.#seen(rule)))).flat().slice(0, MAX_ALERTS)
    const keys = new Set(found.map(({ key }) => key))
    for (const [key, followed] of this.#followed) if (!keys.has(key)) this.#over(key, followed)
    for (const { key, rule, sample } of found) this.#follow(key, rule, sample)
  }

  /** The series for which a rule is true now. */
  async #seen(rule: AlertRule) {
    const { family, of, labels = {}, when, bound } = rule
    const [values, wholes] = await Promise.all([this.#options.samples(family), of ? this.#options.samples(of) : []])
    const whole = new Map(wholes.map((each) => [JSON.stringify(each.labels), each.value]))
    const meant = values.filter((each) => Object.entries(labels).every(([name, value]) => each.labels[name] === value))
    return meant
      .map(({ labels: own, value }) => ({
        labels: own,
        value: of ? value / (whole.get(JSON.stringify(own)) ?? 0) : value,
      }))
      .filter(({ value }) => (when === 'above' ? value > bound : value < bound))
      .map((sample) => ({ key: `${rule.name} ${JSON.stringify(sample.labels)}`, rule, sample }))
  }

  #follow(key: string, rule: AlertRule, { labels, value }: GaugeSample): void {
    const now = this.#now()
    const followed = this.#followed.get(key) ?? { rule, labels, since: now, value, isFiring: false }
    this.#followed.set(key, followed)
    followed.value = value
    if (followed.isFiring || now - followed.since < rule.forMs) return
    followed.isFiring = true
    this.#options.log.warn({ alert: rule.name, severity: rule.severity, labels, value }, `alert: ${rule.summary}`)
  }

  #over(key: string, { rule, labels, isFiring }: Followed): void {
    this.#followed.delete(key)
    if (isFiring) this.#options.log.info({ alert: rule.name, labels }, 'an alert is over')
  }
}

const alertOf = ({ rule, labels, value, since, isFiring }: Followed): Alert => ({
  ...{ name: rule.name, state: isFiring ? 'firing' : 'pending', severity: rule.severity },
  ...{ labels, value, bound: rule.bound, since: new Date(since).toISOString(), summary: rule.summary },
})

const URGENCY: readonly Severity[] = ['critical', 'warning', 'info']

const byUrgency = (one: Alert, other: Alert): number =>
  Number(other.state === 'firing') - Number(one.state === 'firing') ||
  URGENCY.indexOf(one.severity) - URGENCY.indexOf(other.severity) ||
  one.since.localeCompare(other.since)
