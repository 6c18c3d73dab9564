/**
 * The external MCP servers of this node: read before anything starts, and what connects sessions to them.
 */
import type { Config } from '../config/load.js'
import { AttachedServers, type AttachedServersParts } from '../runtimes/mcp/attached-servers.js'
import { loadMcpServers, McpServers } from '../runtimes/mcp/servers.js'
import type { Log } from '../telemetry/log.js'
import type { PluginMetrics } from '../telemetry/metrics.js'
import type { Lifecycle } from './lifecycle.js'

export interface McpParts extends Pick<AttachedServersParts, 'sandbox' | 'supervisor'> {
  readonly config: Config
  readonly lifecycle: Lifecycle
  readonly log: Log
  readonly plugins: PluginMetrics
}

/** @throws McpServersError with file and field */
export async function attachedServers({
  config,
  lifecycle,
  log,
  plugins,
  ...guard
}: McpParts): Promise<AttachedServers> {
  const { serversFile } = config.mcp
  const servers = serversFile === undefined ? new McpServers() : await loadMcpServers(serversFile)
  if (serversFile !== undefined) log.info({ servers: servers.names }, 'sessions may use these MCP servers')
  const attached = new AttachedServers({ servers, log, onRan: plugins.ran, ...guard })
  plugins.watch(() => attached.open)
  lifecycle.started('MCP servers', () => attached.stop())
  return attached
}
