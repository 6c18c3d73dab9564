/**
 * Tools of ours for Claude Code: an MCP server inside this process, which the SDK carries over the pipes it has anyway.
 */
import type { McpSdkServerConfigWithInstance } from '@anthropic-ai/claude-agent-sdk'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { toolText } from '../prompt.js'
import type { EffectClass } from '../runtime.js'
import type { Tool, ToolContext } from '../tools/tool.js'

/** What the model calls a tool of a server. */
export const mcpName = (server: string, tool: string): string => `mcp__${server}__${tool}`

export function toolServer(
  name: string,
  tools: readonly Tool[],
  context: Omit<ToolContext, 'signal'>,
): McpSdkServerConfigWithInstance {
  const byName = new Map(tools.map((tool) => [tool.spec.name, tool]))
  const instance = new McpServer({ name, version: '1.0.0' }, { capabilities: { tools: {} } })
  instance.server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: tools.map(({ spec: { name: tool, description, parameters } }) => ({
      name: tool,
      description,
      inputSchema: { ...parameters, type: 'object' as const },
    })),
  }))
  instance.server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal }) => {
    const tool = byName.get(params.name)
    if (!tool) throw new Error(`there is no tool ${params.name}`)
    const outcome = await tool.run(params.arguments ?? {}, { ...context, signal })
    return { content: [{ type: 'text' as const, text: toolText(outcome) }], isError: outcome.status === 'failed' }
  })
  return { type: 'sdk', name, instance }
}

/** Effects of the calls that go to `server`; undefined for any other. */
export function serverEffects(server: string, tools: readonly Tool[]) {
  const byName = new Map(tools.map((tool) => [mcpName(server, tool.spec.name), tool]))
  return (name: string, input: Readonly<Record<string, unknown>>): EffectClass | undefined =>
    byName.get(name)?.effectOf(input)
}
