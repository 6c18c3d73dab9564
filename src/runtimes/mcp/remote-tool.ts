/**
 * A tool of an MCP server as a session's model sees it: its name, its schema, the class of its effect, its results.
 */
import { createHash } from 'node:crypto'
import type { CallToolResult, Tool as ServerTool } from '@modelcontextprotocol/sdk/types.js'
import { MALFORMED_INPUT, type ToolRequest } from '../../models/model.js'
import type { EffectClass, ToolOutcome } from '../runtime.js'
import { MAX_OUTPUT_BYTES } from '../tools/bash.js'
import { BoundedOutput } from '../tools/bounded-output.js'
import type { McpServer } from './servers.js'

/** What vendors take for a name. */
const MAX_NAME_CHARS = 64
const MAX_DESCRIPTION_CHARS = 2_000
const MAX_SCHEMA_CHARS = 16_000
const HASH_CHARS = 6

export const prefixOf = (server: string): string => `mcp__${server}__`

/** The same for the same tool on every worker; a name that vendors would refuse is changed, and stays one of its own. */
export function toolName(server: string, tool: string): string {
  const plain = `${prefixOf(server)}${tool.replace(/[^A-Za-z0-9_-]/g, '_')}`
  if (plain.length <= MAX_NAME_CHARS && plain.endsWith(tool)) return plain
  const hash = createHash('sha256').update(tool).digest('hex').slice(0, HASH_CHARS)
  return `${plain.slice(0, MAX_NAME_CHARS - HASH_CHARS - 1)}_${hash}`
}

/** What the operator says of it, else what the server says, else the worst. */
export function effectOf(
  server: McpServer,
  { name, annotations }: Pick<ServerTool, 'name' | 'annotations'>,
): EffectClass {
  const declared = server.effects[name] ?? server.effect
  if (declared) return declared
  if (annotations?.readOnlyHint) return 'read'
  return annotations?.idempotentHint ? 'idempotent' : 'once'
}

/** The schema as vendors take it; undefined for one that is too large to be sent with every call of the model. */
export function parametersOf({ inputSchema }: ServerTool): Record<string, unknown> | undefined {
  const { $schema: _dialect, ...parameters } = inputSchema as Record<string, unknown>
  return JSON.stringify(parameters).length > MAX_SCHEMA_CHARS ? undefined : { properties: {}, ...parameters }
}

export const descriptionOf = (server: McpServer, { description, title }: ServerTool): string =>
  (description || title || `A tool of ${server.name}`).slice(0, MAX_DESCRIPTION_CHARS)

export const isMalformed = (input: ToolRequest['input']): boolean => MALFORMED_INPUT in input

/** What the model is told: texts as they are, everything else named. */
export function outcomeOf({ content, structuredContent, isError }: CallToolResult): ToolOutcome {
  const output = new BoundedOutput(MAX_OUTPUT_BYTES)
  const texts = content.map(textOf)
  // A server that gives structure gives it as text too, unless it forgot.
  if (texts.length === 0 && structuredContent) texts.push(JSON.stringify(structuredContent))
  output.add(Buffer.from(texts.join('\n')))
  const text = output.text()
  if (isError) return { status: 'failed', error: text || 'The tool failed and did not say why' }
  return { status: 'completed', result: { content: text, ...(output.isCut && { truncated: true }) } }
}

function textOf(block: CallToolResult['content'][number]): string {
  switch (block.type) {
    case 'text':
      return block.text
    case 'resource':
      return 'text' in block.resource ? block.resource.text : `[${block.resource.uri}, not a text]`
    case 'resource_link':
      return `[${block.name}: ${block.uri}]`
    default:
      return `[${block.type} ${block.mimeType}, not shown]`
  }
}
