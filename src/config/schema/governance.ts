/**
 * Settings of what sessions may do: the charter, hooks around tools, and the servers whose tools they may use.
 */
import { milliseconds, text, wholeNumber } from '../kinds.js'
import { optional, setting } from '../setting.js'

const MAX_TOKENS = 1_000_000_000_000
const MAX_TURNS = 100_000

const ms = { unit: 'milliseconds' } as const

export const mcp = {
  serversFile: optional(
    'MCP_SERVERS_FILE',
    text,
    'External MCP servers that sessions may use (.json or .yaml, in the shape of .mcp.json); without it there are none',
  ),
}

export const hooks = {
  file: optional(
    'HOOKS_FILE',
    text,
    'Commands that run before and after tool calls (.json or .yaml, in the shape of `hooks` in the settings of Claude Code)',
  ),
}

export const charter = {
  file: optional(
    'CHARTER_FILE',
    text,
    'Charter of this service (.yaml or .json); without it ~/orchestrator-daemon/orchestrator-charter.yaml, else the built-in one; heeded when it changes',
    { live: true, file: true },
  ),
  name: optional('ORCHESTRATOR_NAME', text, 'Name of the charter, in place of its own', { live: true }),
  tier: optional('ORCHESTRATOR_TIER', wholeNumber(1, 3), 'Tier of the charter, in place of its own', { live: true }),
  maxTokensPerSession: optional(
    'ORCHESTRATOR_MAX_TOKENS',
    wholeNumber(1, MAX_TOKENS),
    'Tokens that one session may use, in place of resourceLimits.maxTokensPerSession of the charter',
    { unit: 'tokens', live: true },
  ),
  maxConcurrentTasks: optional(
    'ORCHESTRATOR_MAX_CONCURRENT',
    wholeNumber(1, MAX_TURNS),
    'Turns that run at once on a worker, in place of resourceLimits.maxConcurrentTasks of the charter',
    { live: true },
  ),
  organizationId: optional(
    'CHARTER_ORGANIZATION_ID',
    text,
    'Organisation whose charter, from NEOLITH_API_URL, stands above the one of this service',
  ),
  syncIntervalMs: setting('CHARTER_SYNC_INTERVAL', milliseconds(1_000), '1800000', 'Between looks for a newer one', ms),
  cacheDirectory: setting(
    'CHARTER_CACHE_DIR',
    text,
    './.charter-cache',
    'Folder that keeps it for when its server is away',
  ),
  approvalTimeoutMs: setting(
    'APPROVAL_TIMEOUT',
    milliseconds(1_000),
    '3600000',
    'For a person to answer; a tool call that nobody approved by then is refused',
    { ...ms, live: true },
  ),
}
