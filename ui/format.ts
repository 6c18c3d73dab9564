/**
 * Figures and times as people read them, always in the same width where they stand in columns.
 */
const whole = new Intl.NumberFormat('en')
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })
const money = new Intl.NumberFormat('en', { style: 'currency', currency: 'USD', minimumFractionDigits: 2 })
const smallMoney = new Intl.NumberFormat('en', { style: 'currency', currency: 'USD', minimumFractionDigits: 4 })
const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
})
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hour12: false })

const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 3_600_000
const DAY = 86_400_000

export const number = (value: number): string => whole.format(value)
export const plural = (count: number, word: string): string => `${number(count)} ${word}${count === 1 ? '' : 's'}`
export const short = (value: number): string => (value < 10_000 ? whole.format(value) : compact.format(value))
export const dollars = (value: number): string => (value > 0 && value < 0.1 ? smallMoney : money).format(value)
export const percent = (part: number): string => `${Math.round(part)} %`

export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ${Math.floor((ms % MINUTE) / SECOND)} s`
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ${Math.floor((ms % HOUR) / MINUTE)} min`
  return `${Math.floor(ms / DAY)} d ${Math.floor((ms % DAY) / HOUR)} h`
}

/** The time of today, the day of everything else. */
export function moment(at: string | number | Date): string {
  const date = new Date(at)
  return Date.now() - date.getTime() < DAY
    ? clock.format(date)
    : `${day.format(date)} ${clock.format(date).slice(0, 5)}`
}

export const time = (at: number): string => clock.format(at)
export const dayOf = (at: string | number): string => day.format(new Date(at))
export const exact = (at: string | number): string => full.format(new Date(at))

export function ago(at: string | number): string {
  const ms = Math.max(0, Date.now() - new Date(at).getTime())
  if (ms < MINUTE) return 'now'
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h`
  return `${Math.floor(ms / DAY)} d`
}

/** The last part of an id tells it from others; the first says what it is. */
export const shortId = (id: string): string => (id.length <= 16 ? id : `…${id.slice(-8)}`)

export const json = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value, undefined, 2)
