/**
 * The limits of a charter, wherever in it they stand. Of two places for one limit the smaller counts.
 */
import type { Charter } from './schema.js'

/** What is left out has no limit. */
export interface CharterLimits {
  readonly maxSessions?: number
  readonly maxConcurrentTasks?: number
  /** Of the daemon's process. */
  readonly maxHeapMb?: number
  /** Of what is sent to a model, its answer included. */
  readonly maxContextTokens?: number
  /** Tokens of a session, and of an orchestrator in each period. */
  readonly tokens: Readonly<Partial<Record<TokenPeriod, number>>>
}

type TokenPeriod = 'session' | 'hourly' | 'daily' | 'weekly' | 'monthly'

export function limitsOf({ resourceLimits, memory }: Charter): CharterLimits {
  const { maxSessions, maxConcurrentTasks, maxTokensPerSession: session, tokenBudget } = resourceLimits
  const { hourly, daily, weekly, monthly } = tokenBudget
  const maxHeapMb = smallest(resourceLimits.maxHeapMB, resourceLimits.memory.maxHeapMB, memory.maxHeapMB)
  const maxContextTokens = smallest(resourceLimits.memory.maxContextTokens, memory.maxContextTokens)
  return {
    ...given({ maxSessions, maxConcurrentTasks, maxHeapMb, maxContextTokens }),
    tokens: given({ session, hourly, daily, weekly, monthly }),
  }
}

/** The smallest of what is given; undefined when nothing is. */
export function smallest(...limits: readonly (number | undefined)[]): number | undefined {
  const known = limits.filter((limit) => limit !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

const given = <T extends object>(limits: T): { -readonly [Name in keyof T]?: Exclude<T[Name], undefined> } =>
  Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined)) as never
