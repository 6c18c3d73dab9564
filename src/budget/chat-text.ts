/**
 * An alert as a message for people, in the form that incoming webhooks of Slack, Mattermost, Rocket.Chat, Discord (`/slack`) and the
 * like take: one field `text`. What comes from outside stands between backticks and cannot call anybody or become a link.
 */
import type { BudgetAlert } from '../protocol/events.js'

const PERCENT = 100
const MAX_NAME_CHARS = 100

const MARKS: Readonly<Record<BudgetAlert['level'], string>> = {
  info: ':information_source:',
  warning: ':warning:',
  critical: ':rotating_light:',
  emergency: ':no_entry:',
}

/** The body of the request. */
export const chatBody = (tenant: string, alert: BudgetAlert): string =>
  JSON.stringify({ text: chatText(tenant, alert) })

function chatText(tenant: string, { alert, level, scope, id, period, used, limit, resetsAt }: BudgetAlert): string {
  const share = `${Math.floor((used / limit) * PERCENT)} %`
  const whose = scope === 'tenant' ? `tenant ${quoted(tenant)}` : `${scope} ${quoted(id)} of tenant ${quoted(tenant)}`
  const budget = `the ${period === 'session' ? '' : `${period} `}token budget of ${whose}`
  const what = alert === 'budget:exceeded' ? `${budget} is used up` : `${share} of ${budget} is used`
  const sentence = `${what.charAt(0).toUpperCase()}${what.slice(1)}: ${grouped(used)} of ${grouped(limit)} tokens.`
  return `${MARKS[level]} ${sentence}${resetsAt === null ? '' : ` It begins anew at ${minute(resetsAt)} UTC.`}`
}

/** Slack reads `<`, `>` and `&` even between backticks. */
const quoted = (name: string): string =>
  `\`${shortened(name).replaceAll('`', "'").replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}\``

const shortened = (name: string): string =>
  name.length > MAX_NAME_CHARS ? `${name.slice(0, MAX_NAME_CHARS)}…` : name.replace(/\s+/g, ' ')

const grouped = (tokens: number): string => tokens.toLocaleString('en-US')

const minute = (time: string): string => time.slice(0, 16).replace('T', ' ')
