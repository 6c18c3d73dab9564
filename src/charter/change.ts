/**
 * Charters that change, and charters that stand below another one.
 */
import { type Charter, type CharterInput, charterSchema, folded } from './schema.js'

export interface CharterCheck {
  readonly errors: readonly string[]
  /** What is allowed, and should not go unnoticed. */
  readonly warnings: readonly string[]
}

/** Whether a value is a charter; each error names its field. */
export function validateCharter(value: unknown): CharterCheck {
  const result = charterSchema.safeParse(value)
  const errors = result.success
    ? []
    : result.error.issues.map(({ path, message }) => `${path.join('.') || 'charter'}: ${message}`)
  return { errors, warnings: [] }
}

export type CharterUpdate = CharterCheck & { readonly charter: Charter }

/**
 * A charter with some fields replaced. The tier never changes, and who the orchestrator is changes with a warning. With an
 * error the charter is the old one.
 */
export function updateCharter(current: Charter, changes: Partial<CharterInput>): CharterUpdate {
  const errors: string[] = []
  if (changes.tier !== undefined && changes.tier !== current.tier)
    errors.push(`tier: it cannot change from ${current.tier} to ${changes.tier}`)
  const result = charterSchema.safeParse(mergedFields(current, changes))
  if (!result.success) errors.push(...result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`))
  if (errors.length > 0 || !result.success) return { charter: current, errors, warnings: [] }
  const warnings = (['name', 'role'] as const)
    .filter((field) => changes[field] !== undefined && changes[field] !== current[field])
    .map((field) => `${field}: it changes from "${current[field]}" to "${changes[field]}"`)
  return { charter: result.data, errors, warnings }
}

/** Objects field by field, everything else as a whole. */
function mergedFields(current: object, changes: object): Record<string, unknown> {
  const result: Record<string, unknown> = { ...current }
  for (const [name, value] of Object.entries(changes)) {
    const before = result[name]
    result[name] = isPlain(before) && isPlain(value) ? mergedFields(before, value) : value
  }
  return result
}

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * The charter of a child under its parent: whatever either of them rejects, confirms, escalates or forbids; only what both
 * approve by themselves; the smaller of two limits; the child's identity.
 */
export function mergeCharters(parent: Charter, child: Charter): Charter {
  const [above, below] = [parent.safetyHeuristics, child.safetyHeuristics]
  const alwaysReject = union(above.alwaysReject, below.alwaysReject)
  const approved = intersection(above.autoApprove, below.autoApprove)
  return {
    ...parent,
    ...child,
    identity: { ...parent.identity, ...child.identity },
    resourceLimits: smaller(parent.resourceLimits, child.resourceLimits) as Charter['resourceLimits'],
    memory: smaller(parent.memory, child.memory) as Charter['memory'],
    hardConstraints: union(parent.hardConstraints, child.hardConstraints),
    safetyHeuristics: {
      ...above,
      ...below,
      autoApprove: approved.filter((entry) => !alwaysReject.some((other) => folded(other) === folded(entry))),
      requireConfirmation: union(above.requireConfirmation, below.requireConfirmation),
      alwaysReject,
      escalate: union(above.escalate, below.escalate),
    },
  }
}

const union = (left: readonly string[], right: readonly string[]): string[] => [
  ...left,
  ...right.filter((entry) => !left.some((other) => folded(other) === folded(entry))),
]

const intersection = (left: readonly string[], right: readonly string[]): string[] =>
  left.filter((entry) => right.some((other) => folded(other) === folded(entry)))

/** The smaller of each pair of numbers, and what only one of them has. */
function smaller(left: object, right: object): Record<string, unknown> {
  const result: Record<string, unknown> = { ...left }
  for (const [name, value] of Object.entries(right)) {
    const before = result[name]
    if (typeof before === 'number' && typeof value === 'number') result[name] = Math.min(before, value)
    else result[name] = isPlain(before) && isPlain(value) ? smaller(before, value) : (value ?? before)
  }
  return result
}
