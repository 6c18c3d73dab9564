/**
 * What a tool is: a name, a zod schema of its input, the class of its effect, and the work itself.
 */
import { z } from 'zod'
import { MALFORMED_INPUT, type ToolRequest, type ToolSpec } from '../../models/model.js'
import { ServiceError } from '../../protocol/errors.js'
import type { MemoryHolder } from '../agent-memory.js'
import type { EffectClass, ToolOutcome } from '../runtime.js'

/** Of the call's turn, which is one: where and for whom it runs. */
export interface ToolContext extends MemoryHolder {
  /** Absolute path of the session's own directory; it exists. */
  readonly workspace: string
  readonly signal: AbortSignal
  /** Of an `idempotent` call: whoever takes part in its effect knows by it that a second one is the first one again. */
  readonly idempotencyKey?: string
  /** W3C context of the call, where it is traced. */
  readonly traceparent?: string
}

export type ToolResult = Readonly<Record<string, unknown>>

/** A failure that the model is told, in a sentence it can act on. */
export class ToolFailure extends Error {
  override readonly name = 'ToolFailure'
}

/** A tool with its types closed over, as the toolbox holds it. */
export interface Tool {
  readonly spec: ToolSpec
  /** What running `input` may do to the world; input that would be refused does nothing, so it counts as `read`. */
  effectOf(input: ToolRequest['input']): EffectClass
  /** What all calls with the same word work on: where one of them changes it, they keep the model's order. */
  readonly shared?: 'workspace' | 'memory'
  /** Stands for tools whose names begin so, as long as nobody knows them. */
  readonly prefix?: string
  /** How metrics name it where there are too many names; default its own. */
  readonly metricName?: string
  /** Failures of the call itself are outcomes. Throws only on abort, or for a bug of ours. */
  run(input: ToolRequest['input'], context: ToolContext): Promise<ToolOutcome>
}

interface Definition<Schema extends z.ZodObject> {
  readonly name: string
  readonly description: string
  readonly input: Schema
  readonly shared?: 'workspace' | 'memory'
  effect(input: z.output<Schema>): EffectClass
  /** Throws `ToolFailure`, `ServiceError`, or a file system error as Node gives it, for what the model should hear. */
  run(input: z.output<Schema>, context: ToolContext): Promise<ToolResult>
}

export function defineTool<Schema extends z.ZodObject>(definition: Definition<Schema>): Tool {
  const { name, description, input: schema, shared } = definition
  return {
    ...(shared && { shared }),
    spec: { name, description, parameters: parametersOf(schema) },
    effectOf(input) {
      const parsed = schema.safeParse(input)
      return parsed.success ? definition.effect(parsed.data) : 'read'
    },
    async run(input, context) {
      if (MALFORMED_INPUT in input) return { status: 'failed', error: malformed(name, input) }
      const parsed = schema.safeParse(input)
      if (!parsed.success) return { status: 'failed', error: expectation(name, parsed.error) }
      try {
        return { status: 'completed', result: await definition.run(parsed.data, context) }
      } catch (thrown) {
        context.signal.throwIfAborted()
        return { status: 'failed', error: causeOf(thrown) }
      }
    },
  }
}

/** The schema as vendors take it: they know the dialect and some servers refuse to be told. */
function parametersOf(schema: z.ZodObject): ToolSpec['parameters'] {
  const { $schema: _dialect, ...parameters } = z.toJSONSchema(schema, { io: 'input' })
  return parameters
}

const malformed = (name: string, input: ToolRequest['input']): string =>
  `The arguments of ${name} were not a JSON object; send one. Received: ${String(input[MALFORMED_INPUT])}`

function expectation(name: string, error: z.ZodError): string {
  const issues = error.issues.map((issue) => `${issue.path.join('.') || 'input'}: ${issue.message}`)
  return `The arguments of ${name} are not as expected: ${issues.join('; ')}`
}

/** The sentence for the model; anything but a refusal of ours or of the operating system is a bug and thrown on. */
function causeOf(thrown: unknown): string {
  if (thrown instanceof ToolFailure || thrown instanceof ServiceError) return thrown.message
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  if (typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) throw thrown
  return SENTENCES[code] ?? `The operating system refused: ${code}`
}

// Node's own messages carry absolute paths of the host; the model is told the reason only.
const SENTENCES: Readonly<Record<string, string>> = {
  ENOENT: 'There is no such file or directory; list the directory to see what is there',
  ENOTDIR: 'A part of the path is a file, not a directory',
  EISDIR: 'The path is a directory, not a file',
  EEXIST: 'A part of the path exists already and is not a directory',
  EACCES: 'The file permissions do not allow this',
  EPERM: 'The file permissions do not allow this',
  ENOTEMPTY: 'The directory is not empty; set recursive to delete it with what it holds',
  ENOSPC: 'The disk is full',
  ENAMETOOLONG: 'The path is too long',
  ELOOP: 'The path is a symbolic link that may not be followed',
}
