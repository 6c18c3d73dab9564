/**
 * The external MCP servers that sessions may use: what the operator's file declares, and what a client may name.
 */
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import { ServiceError } from '../../protocol/errors.js'
import { type McpAttachment, serverNameSchema } from '../../protocol/session.js'
import type { EffectClass } from '../runtime.js'

const MAX_FILE_CHARS = 1024 * 1024
/** Aliases of YAML can make a short text endless. */
const MAX_ALIASES = 100
const MAX_SERVERS = 100
const MAX_NAMED_TOOLS = 500
/** A call that needs longer would hold the turn's slot. */
const MAX_TIMEOUT_MS = 600_000
const DEFAULT_CALL_TIMEOUT_MS = 60_000
/** A package that is fetched first takes some seconds. */
const DEFAULT_START_TIMEOUT_MS = 15_000

const effectSchema = z.enum(['read', 'idempotent', 'once', 'ask'])
const timeout = (fallback: number) => z.number().int().min(1).max(MAX_TIMEOUT_MS).default(fallback)
const policy = {
  /** Only these tools are offered; all when left out. */
  tools: z.array(z.string().min(1)).max(MAX_NAMED_TOOLS).optional(),
  /** Class of all its tools, whatever the server says of them. */
  effect: effectSchema.optional(),
  /** Class of single tools. */
  effects: z.record(z.string(), effectSchema).default({}),
  /** Of one call, in ms. */
  timeout: timeout(DEFAULT_CALL_TIMEOUT_MS),
  /** From its start until it has named its tools, in ms. */
  startTimeout: timeout(DEFAULT_START_TIMEOUT_MS),
}

const stdioSchema = z.strictObject({
  type: z.literal('stdio').default('stdio'),
  command: z.string().min(1),
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
  ...policy,
})
const httpSchema = z.strictObject({
  type: z.enum(['http', 'streamable-http']).default('http'),
  url: z.url({ protocol: /^https?$/ }),
  headers: z.record(z.string(), z.string()).default({}),
  ...policy,
})
const fileSchema = z.strictObject({
  mcpServers: z
    .record(serverNameSchema, z.unknown())
    .refine((servers) => Object.keys(servers).length <= MAX_SERVERS, `at most ${MAX_SERVERS} servers`),
  /** Whether clients may attach servers of their own by a public URL. */
  allowPublicUrls: z.boolean().default(false),
})

interface Policy {
  readonly name: string
  readonly tools: readonly string[] | undefined
  readonly effect: EffectClass | undefined
  readonly effects: Readonly<Record<string, EffectClass>>
  readonly callTimeoutMs: number
  readonly startTimeoutMs: number
}

export interface StdioServer extends Policy {
  readonly kind: 'stdio'
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface HttpServer extends Policy {
  readonly kind: 'http'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** The operator knows where it is; a client may name only what everybody may reach. */
  readonly isDeclared: boolean
}

export type McpServer = StdioServer | HttpServer

/** Each mistake is one line with file and field. */
export class McpServersError extends Error {
  override readonly name = 'McpServersError'

  constructor(readonly mistakes: readonly string[]) {
    super(`The file of MCP servers is not valid:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`)
  }
}

export class McpServers {
  readonly #declared: ReadonlyMap<string, McpServer>
  readonly #allowPublicUrls: boolean

  constructor(declared: readonly McpServer[] = [], allowPublicUrls = false) {
    this.#declared = new Map(declared.map((server) => [server.name, server]))
    this.#allowPublicUrls = allowPublicUrls
  }

  get names(): readonly string[] {
    return [...this.#declared.keys()]
  }

  /** The servers that a session asks for. @throws ServiceError `mcp_server_refused` */
  of(attachments: readonly McpAttachment[]): McpServer[] {
    return attachments.map((each) => (typeof each === 'string' ? this.#named(each) : this.#public(each)))
  }

  #named(name: string): McpServer {
    const server = this.#declared.get(name)
    if (server) return server
    const known = this.names.join(', ') || 'none'
    throw new ServiceError('mcp_server_refused', { name, reason: `this service has no such server; it has: ${known}` })
  }

  #public({ name, url }: Exclude<McpAttachment, string>): McpServer {
    const refuse = (reason: string) => new ServiceError('mcp_server_refused', { name, reason })
    if (!this.#allowPublicUrls) throw refuse('this service allows no servers by URL')
    if (this.#declared.has(name)) throw refuse('this service has a server of that name')
    const times = { callTimeoutMs: DEFAULT_CALL_TIMEOUT_MS, startTimeoutMs: DEFAULT_START_TIMEOUT_MS }
    const asItSays = { tools: undefined, effect: undefined, effects: {}, ...times }
    return { kind: 'http', name, url, headers: {}, isDeclared: false, ...asItSays }
  }
}

/** @throws McpServersError */
export async function loadMcpServers(file: string, env: NodeJS.ProcessEnv = process.env): Promise<McpServers> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new McpServersError([`${file}: it cannot be read (${code})`])
  })
  return parseMcpServers(text, file, env)
}

/** YAML or JSON, in the shape of `.mcp.json`. @throws McpServersError */
export function parseMcpServers(text: string, file: string, env: NodeJS.ProcessEnv = {}): McpServers {
  const mistakes: string[] = []
  const given = fileSchema.safeParse(filled(read(text, file), [], env, (what) => mistakes.push(`${file}: ${what}`)))
  if (!given.success) throw new McpServersError(given.error.issues.map((issue) => mistakeOf(file, [], issue)))
  const servers = Object.entries(given.data.mcpServers).flatMap(([name, value]) => {
    const isHttp = typeof value === 'object' && value !== null && 'url' in value
    const parsed = isHttp ? httpSchema.safeParse(value) : stdioSchema.safeParse(value)
    if (parsed.success) return serverOf(name, parsed.data)
    mistakes.push(...parsed.error.issues.map((issue) => mistakeOf(file, ['mcpServers', name], issue)))
    return []
  })
  if (mistakes.length > 0) throw new McpServersError(mistakes)
  return new McpServers(servers, given.data.allowPublicUrls)
}

function serverOf(name: string, given: z.output<typeof stdioSchema> | z.output<typeof httpSchema>): McpServer {
  const { tools, effect, effects, timeout: callTimeoutMs, startTimeout: startTimeoutMs } = given
  const rules = { name, tools, effect, effects, callTimeoutMs, startTimeoutMs }
  if ('url' in given) return { kind: 'http', url: given.url, headers: given.headers, isDeclared: true, ...rules }
  return { kind: 'stdio', command: given.command, args: given.args, env: given.env, ...rules }
}

function read(text: string, file: string): unknown {
  if (text.length > MAX_FILE_CHARS)
    throw new McpServersError([`${file}: it has more than ${MAX_FILE_CHARS} characters`])
  try {
    return parse(text, { maxAliasCount: MAX_ALIASES })
  } catch (error) {
    throw new McpServersError([
      `${file}: ${error instanceof Error ? error.message.split('\n')[0] : 'it cannot be read'}`,
    ])
  }
}

const mistakeOf = (file: string, above: readonly string[], issue: z.core.$ZodIssue): string =>
  `${file}: ${[...above, ...issue.path.map(String)].join('.') || 'mcpServers'}: ${issue.message}`

/** Puts values of the environment where `${NAME}` and `${NAME:-otherwise}` stand. */
function filled(
  value: unknown,
  path: readonly string[],
  env: NodeJS.ProcessEnv,
  onMistake: (what: string) => void,
): unknown {
  const inner = (each: unknown, key: string) => filled(each, [...path, key], env, onMistake)
  if (Array.isArray(value)) return value.map((each, index) => inner(each, String(index)))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, inner(each, key)]))
  }
  if (typeof value !== 'string') return value
  return value.replace(/\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g, (_whole, name: string, otherwise?: string) => {
    const found = env[name] ?? otherwise
    if (found === undefined) onMistake(`${path.join('.')}: ${name} is not set in the environment`)
    return found ?? ''
  })
}
