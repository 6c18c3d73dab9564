/**
 * An MCP server for tests: tools of every class, and some that misbehave. Run as a program it speaks over stdio.
 */
import { appendFileSync, realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import {
  type CallToolRequest,
  CallToolRequestSchema,
  type CallToolResult,
  ListToolsRequestSchema,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js'

const text = (value: unknown): CallToolResult => ({
  content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }],
})
const object = { type: 'object' as const, properties: { url: { type: 'string' }, n: { type: 'number' } } }

const TOOLS: readonly Tool[] = [
  { name: 'look', description: 'Looks something up', inputSchema: object, annotations: { readOnlyHint: true } },
  { name: 'put', description: 'Sets something', inputSchema: object, annotations: { idempotentHint: true } },
  { name: 'post', description: 'Adds something', inputSchema: { $schema: 'http://json-schema.org/x', ...object } },
  { name: 'trigger', description: 'Sets something off', inputSchema: object },
  { name: 'environment', inputSchema: { type: 'object' } },
  { name: 'fail', inputSchema: { type: 'object' } },
  { name: 'die', inputSchema: { type: 'object' } },
  { name: 'hang', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } },
  { name: 'much', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } },
  { name: 'endless', inputSchema: { type: 'object' } },
  { name: 'look', description: 'The same name once more', inputSchema: { type: 'object' } },
  { name: 'odd.name/with spaces', inputSchema: { type: 'object' } },
  { name: 'large_schema', inputSchema: { type: 'object', properties: { a: { description: 'x'.repeat(20_000) } } } },
]

/** `die` ends whatever the server runs in. */
export function createTestServer(die: () => void): Server {
  const server = new Server({ name: 'test', version: '1' }, { capabilities: { tools: {} } })
  // Two pages.
  server.setRequestHandler(ListToolsRequestSchema, async ({ params }) =>
    params?.cursor === 'rest' ? { tools: TOOLS.slice(5) } : { tools: TOOLS.slice(0, 5), nextCursor: 'rest' },
  )
  server.setRequestHandler(CallToolRequestSchema, (request) => answer(request, die))
  return server
}

async function answer({ params }: CallToolRequest, die: () => void): Promise<CallToolResult> {
  const { name, arguments: input = {}, _meta } = params
  switch (name) {
    case 'look':
    case 'put':
    case 'post':
    case 'trigger':
      return text(await effect(input, _meta))
    case 'environment':
      return text({ env: process.env, cwd: realpathSync('.'), pid: process.pid })
    case 'fail':
      return { ...text('the cause'), isError: true }
    case 'die':
      die()
      return await new Promise(() => undefined)
    case 'hang':
      return await new Promise(() => undefined)
    case 'much':
      return text('a'.repeat(200_000))
    case 'endless':
      return text('a'.repeat(5 * 1024 * 1024))
    default:
      return text(`${name} was called`)
  }
}

/** Happens at `url`, where one is given, in the name of the call's key. */
async function effect(input: Record<string, unknown>, meta: Record<string, unknown> | undefined): Promise<string> {
  const key = String(meta?.idempotencyKey ?? 'none')
  if (typeof input.url === 'string') await (await fetch(input.url, { headers: { 'idempotency-key': key } })).text()
  const traced = meta?.traceparent === undefined ? '' : ` in ${String(meta.traceparent)}`
  return `done with key ${key}${traced}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2]) appendFileSync(process.argv[2], `${process.pid}\n`)
  process.stdout.write('a greeting that is no message\n')
  await createTestServer(() => process.exit(3)).connect(new StdioServerTransport())
}
