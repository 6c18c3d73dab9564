/**
 * A charter: who an orchestrator is, what it may use, and what it must ask about. One schema for every form that is in use:
 * the daemon's, the governance form, and an organisation's. All of it is optional.
 */
import { z } from 'zod'

const MAX_ENTRIES = 500
const MAX_CHARS = 4_000

const sentence = z.string().max(MAX_CHARS)
const list = z.array(sentence).max(MAX_ENTRIES).default([])
/** Placeholders come in as text. */
const amount = z.preprocess(
  (value) => (typeof value === 'string' && /^\d+$/.test(value.trim()) ? Number(value) : value),
  z.number().int().positive(),
)
const decimal = z.preprocess(
  (value) => (typeof value === 'string' && value.trim() !== '' ? Number(value) : value),
  z.number(),
)
const freeForm = z.record(z.string().max(MAX_CHARS), z.unknown())

const memory = z.looseObject({ maxHeapMB: amount.optional(), maxContextTokens: amount.optional() })

const tokenBudget = z.looseObject({
  hourly: amount.optional(),
  daily: amount.optional(),
  weekly: amount.optional(),
  monthly: amount.optional(),
  /** Shares of the daemon's form, such as `80%`. */
  subscription: z.union([sentence, z.number()]).optional(),
  api: z.union([sentence, z.number()]).optional(),
})

const shape = z.looseObject({
  name: sentence.optional(),
  role: sentence.optional(),
  tier: z
    .preprocess((value) => (typeof value === 'string' ? Number(value) : value), z.number().int().min(1).max(3))
    .optional(),
  identity: z
    .looseObject({
      name: sentence.optional(),
      description: sentence.optional(),
      personality: sentence.optional(),
      email: z.email().optional(),
      avatar: sentence.optional(),
      slackHandle: sentence.optional(),
    })
    .default({}),
  capabilities: list,
  responsibilities: list,
  resourceLimits: z
    .looseObject({
      maxSessions: amount.optional(),
      maxTokensPerSession: amount.optional(),
      maxConcurrentTasks: amount.optional(),
      maxHeapMB: amount.optional(),
      tokenBudget: tokenBudget.default({}),
      memory: memory.default({}),
    })
    .default({ tokenBudget: {}, memory: {} }),
  safetyHeuristics: z
    .looseObject({ autoApprove: list, requireConfirmation: list, alwaysReject: list, escalate: list })
    .default({ autoApprove: [], requireConfirmation: [], alwaysReject: [], escalate: [] }),
  memory: memory.default({}),
  hardConstraints: list,
  measurableObjectives: freeForm.default({}),
  operationalSettings: z
    .looseObject({
      defaultModel: sentence.optional(),
      temperature: decimal.pipe(z.number().min(0).max(2)).optional(),
      maxRetries: z
        .preprocess((value) => (typeof value === 'string' ? Number(value) : value), z.number().int().min(0))
        .optional(),
      timeoutMs: amount.optional(),
    })
    .default({}),
  // An organisation's charter.
  id: sentence.optional(),
  organizationId: sentence.optional(),
  mission: sentence.optional(),
  vision: sentence.nullish(),
  values: z.array(z.unknown()).max(MAX_ENTRIES).default([]),
  principles: z.array(z.unknown()).max(MAX_ENTRIES).default([]),
  governance: freeForm.default({}),
  security: freeForm.default({}),
  communication: freeForm.default({}),
  version: z.union([sentence, z.number()]).optional(),
  isActive: z.boolean().default(true),
})

/** The rules that hold between fields. */
export const charterSchema = shape.superRefine(({ safetyHeuristics, resourceLimits }, context) => {
  const rejected = new Set(safetyHeuristics.alwaysReject.map(folded))
  safetyHeuristics.autoApprove.forEach((entry, index) => {
    if (!rejected.has(folded(entry))) return
    const message = `"${entry}" stands in autoApprove and in alwaysReject; leave it in one of them`
    context.addIssue({ code: 'custom', path: ['safetyHeuristics', 'autoApprove', index], message })
  })
  const { hourly, daily, weekly, monthly } = resourceLimits.tokenBudget
  const periods = [
    ['hourly', hourly],
    ['daily', daily],
    ['weekly', weekly],
    ['monthly', monthly],
  ] as const
  const given = periods.filter((each): each is [(typeof each)[0], number] => each[1] !== undefined)
  given.forEach(([name, tokens], index) => {
    const [longer, more] = given[index + 1] ?? []
    if (more === undefined || tokens <= more) return
    const message = `${tokens} tokens ${name} are more than the ${more} ${longer}`
    context.addIssue({ code: 'custom', path: ['resourceLimits', 'tokenBudget', name], message })
  })
})

export type Charter = z.output<typeof charterSchema>
export type CharterInput = z.input<typeof charterSchema>

/** Without regard to case and spaces, as entries are compared. */
export const folded = (entry: string): string => entry.toLowerCase().replace(/\s+/g, ' ').trim()
