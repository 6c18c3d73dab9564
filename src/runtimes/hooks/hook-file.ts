/**
 * The hooks that an operator declares: which command runs before or after which tool. The shape is the one of the section
 * `hooks` in the settings of Claude Code.
 */
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'

const MAX_FILE_CHARS = 256 * 1024
/** Aliases of YAML can make a short text endless. */
const MAX_ALIASES = 100
/** They run one after the other, and each holds up its call. */
const MAX_HOOKS = 50
const MAX_COMMAND_CHARS = 4_000
const MAX_MATCHER_CHARS = 500
/** A call waits for its hooks, and its turn holds a slot meanwhile. */
const MAX_TIMEOUT_S = 600
const DEFAULT_TIMEOUT_S = 10
const MS = 1_000

const HOOK_EVENTS = ['PreToolUse', 'PostToolUse'] as const
export type HookEvent = (typeof HOOK_EVENTS)[number]

export interface Hook {
  readonly event: HookEvent
  /** Whether it is for a tool of this name. */
  readonly fits: (tool: string) => boolean
  /** For bash. */
  readonly command: string
  readonly timeoutMs: number
  /** What a hook that crashes, takes too long or cannot be started means for the call that it was to judge. */
  readonly onFailure: 'block' | 'ignore'
}

const hookSchema = z.strictObject({
  type: z.literal('command').default('command'),
  command: z.string().min(1).max(MAX_COMMAND_CHARS),
  /** In seconds. */
  timeout: z.number().positive().max(MAX_TIMEOUT_S).default(DEFAULT_TIMEOUT_S),
  onFailure: z.enum(['block', 'ignore']).default('block'),
})
const groupSchema = z.strictObject({
  matcher: z.string().max(MAX_MATCHER_CHARS).default('*'),
  hooks: z.array(hookSchema).min(1),
})
const fileSchema = z.strictObject({ hooks: z.partialRecord(z.enum(HOOK_EVENTS), z.array(groupSchema)) })

/** Each mistake is one line with file and field. */
export class HooksError extends Error {
  override readonly name = 'HooksError'

  constructor(readonly mistakes: readonly string[]) {
    super(`The file of hooks is not valid:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`)
  }
}

/** @throws HooksError */
export async function loadHooks(file: string): Promise<readonly Hook[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new HooksError([`${file}: it cannot be read (${code})`])
  })
  return parseHooks(text, file)
}

/** YAML or JSON. In the order of the file. @throws HooksError */
export function parseHooks(text: string, file: string): readonly Hook[] {
  const given = fileSchema.safeParse(read(text, file))
  if (!given.success) {
    throw new HooksError(
      given.error.issues.map(({ path, message }) => `${file}: ${path.join('.') || 'hooks'}: ${message}`),
    )
  }
  const hooks = HOOK_EVENTS.flatMap((event) =>
    (given.data.hooks[event] ?? []).flatMap((group) => hooksOf(event, group)),
  )
  if (hooks.length > MAX_HOOKS) throw new HooksError([`${file}: hooks: at most ${MAX_HOOKS}, not ${hooks.length}`])
  return hooks
}

function read(text: string, file: string): unknown {
  if (text.length > MAX_FILE_CHARS) throw new HooksError([`${file}: it has more than ${MAX_FILE_CHARS} characters`])
  try {
    return parse(text, { maxAliasCount: MAX_ALIASES })
  } catch (error) {
    throw new HooksError([`${file}: ${error instanceof Error ? error.message.split('\n')[0] : 'it cannot be read'}`])
  }
}

function hooksOf(event: HookEvent, { matcher, hooks }: z.output<typeof groupSchema>): Hook[] {
  const fits = matcherOf(matcher)
  return hooks.map(({ command, timeout, onFailure }) => ({ event, fits, command, timeoutMs: timeout * MS, onFailure }))
}

/** Names of tools with `|` between them, compared whole; `*` (or `.*`) stands for anything, and nothing for all. */
function matcherOf(text: string): (tool: string) => boolean {
  const patterns = text.split('|').map((name) => name.trim().replaceAll('.*', '*'))
  if (text.trim() === '') return () => true
  const words = patterns.map((pattern) => pattern.split('*').map((part) => part.replace(/[^\w-]/g, '\\$&')))
  const whole = new RegExp(`^(?:${words.map((parts) => parts.join('.*')).join('|')})$`, 's')
  return (tool) => whole.test(tool)
}
