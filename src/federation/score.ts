/**
 * Who gets a task: one pure function over what orchestrators say of themselves and what the task needs.
 *
 *   points                                                          most
 *   has all required capabilities (else out of the question)          30
 *   share of the preferred capabilities that it has                   10
 *   is made for this: one point less for each further capability      10
 *   free: share of its sessions that are not at work                  30
 *   has tokens left: share of its tokens that is not used             10
 *   is in the preferred region                                        10
 *   tier × 2 × urgency of the task (low 0 … critical 1)               10
 *   few to serve: one point less for each of its sessions at work     10
 *   errors: share of its last attempts that failed                   −10
 *
 * Nobody gets a task whose attempts fail one after the other (`circuit`).
 */
import type { DelegationFailure, Needs, Orchestrator } from '../protocol/federation.js'
import type { Priority } from '../protocol/session.js'
import { circuitOf, errorRateOf } from './circuit.js'

/** A target with the points it got, and what for. */
export interface Choice {
  readonly orchestrator: string
  readonly score: number
  /** One for each kind of points, for people to read. */
  readonly reasons: readonly string[]
}

export type Chosen =
  | { readonly status: 'chosen'; readonly choice: Choice }
  | { readonly status: 'none'; readonly reason: DelegationFailure; readonly explanation: string }

const POINTS = {
  required: 30,
  preferred: 10,
  specialist: 10,
  free: 30,
  tokens: 10,
  region: 10,
  perTier: 2,
  few: 10,
  errors: -10,
} as const
const URGENCY: Readonly<Record<Priority, number>> = { low: 0, medium: 0.4, high: 0.7, critical: 1 }

/**
 * The eligible orchestrator with the most points; of equals the one whose id comes first. Those that have tried come after
 * all others, whatever their points.
 */
export function chooseTarget(
  orchestrators: readonly Orchestrator[],
  needs: Needs,
  priority: Priority,
  tried: readonly string[] = [],
): Chosen {
  const named = orchestrators.filter(({ id }) => needs.to === undefined || id === needs.to)
  if (needs.to !== undefined && named.length === 0) return none('unreachable', `${needs.to} is not registered`)
  const able = named.filter((it) => missing(it, needs).length === 0)
  if (able.length === 0)
    return none('capability_mismatch', `nobody has ${needs.capabilities.join(', ') || 'registered'}`)
  const present = able.filter(({ status }) => status !== 'offline')
  if (present.length === 0) return none('unreachable', `no sign of life from ${ids(able)}`)
  const sound = present.filter(({ outcomes }) => circuitOf(outcomes) !== 'open')
  if (sound.length === 0) return none('unreachable', `too much fails at ${ids(present)}, asked again within 30 s`)
  const free = sound.filter((it) => it.status === 'online' && hasTokens(it, needs))
  if (free.length === 0) return none('overloaded', `no room at ${ids(sound)}`)
  const fresh = free.filter(({ id }) => !tried.includes(id))
  const [best] = (fresh.length > 0 ? fresh : free)
    .map((it) => rate(it, needs, priority))
    .sort((a, b) => b.score - a.score || (a.orchestrator < b.orchestrator ? -1 : 1))
  if (!best) throw new Error('the best of some orchestrators is one of them')
  return { status: 'chosen', choice: best }
}

/** Points of one orchestrator that is eligible. */
export function rate(it: Orchestrator, needs: Needs, priority: Priority): Choice {
  const preferred = needs.preferredCapabilities.filter((each) => it.capabilities.includes(each)).length
  const wanted = new Set([...needs.capabilities, ...needs.preferredCapabilities])
  const further = it.capabilities.filter((each) => !wanted.has(each)).length
  const freeShare = Math.max(0, it.maxSessions - it.activeSessions) / it.maxSessions
  const tokenShare = it.maxTokens === null ? 1 : Math.max(0, it.maxTokens - it.tokensUsed) / it.maxTokens
  const errorRate = errorRateOf(it.outcomes)
  const parts: readonly (readonly [points: number, reason: string])[] = [
    [POINTS.required, `has all of ${needs.capabilities.length} required capabilities`],
    [POINTS.preferred * shareOf(preferred, needs.preferredCapabilities.length), `has ${preferred} preferred ones`],
    [Math.max(0, POINTS.specialist - further), `and ${further} that are not asked for`],
    [POINTS.free * freeShare, `${it.activeSessions} of ${it.maxSessions} sessions at work`],
    [POINTS.tokens * tokenShare, `${Math.round(tokenShare * 100)} % of its tokens left`],
    [needs.region !== undefined && it.region === needs.region ? POINTS.region : 0, `in region ${it.region ?? 'none'}`],
    [POINTS.perTier * it.tier * URGENCY[priority], `tier ${it.tier}, priority ${priority}`],
    [Math.max(0, POINTS.few - it.activeSessions), `${it.activeSessions} to serve`],
    [POINTS.errors * errorRate, `${Math.round(errorRate * 100)} % of its last attempts failed`],
  ]
  const score = parts.reduce((sum, [points]) => sum + points, 0)
  const reasons = parts.map(([points, reason]) => `${rounded(points)}: ${reason}`)
  return { orchestrator: it.id, score: rounded(score), reasons }
}

const missing = ({ capabilities }: Orchestrator, needs: Needs): readonly string[] =>
  needs.capabilities.filter((each) => !capabilities.includes(each))

const hasTokens = ({ maxTokens, tokensUsed }: Orchestrator, { minAvailableTokens = 1 }: Needs): boolean =>
  maxTokens === null || maxTokens - tokensUsed >= minAvailableTokens

const shareOf = (part: number, whole: number): number => (whole === 0 ? 1 : part / whole)
const rounded = (points: number): number => Math.round(points * 10) / 10
const ids = (all: readonly Orchestrator[]): string => all.map(({ id }) => id).join(', ')
const none = (reason: DelegationFailure, explanation: string): Chosen => ({ status: 'none', reason, explanation })
