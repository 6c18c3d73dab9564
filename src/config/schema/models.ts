/**
 * Settings of what sessions are made of: models, their memory, their budget, and the platform they belong to.
 */
import { choice, flag, fraction, milliseconds, text, url, wholeNumber } from '../kinds.js'
import { optional, setting } from '../setting.js'

const MAX_TOKENS = 1_000_000_000_000
const MAX_CONTEXT_TOKENS = 10_000_000
const MAX_EPISODIC_DAYS = 3_650
/** More cannot be indexed. */
const MAX_EMBEDDING_DIMENSIONS = 4_000
const MAX_CLAUDE_PROCESSES = 1_000
const SESSION_TYPES = ['llm', 'echo', 'claude-code', 'claude-flow', 'ruflo'] as const

const tokens = wholeNumber(1, MAX_TOKENS)
const tokenBudget = (env: string, fallback: string, period: string) =>
  setting(env, tokens, fallback, `Tokens that an orchestrator may use in a ${period}`, { unit: 'tokens', live: true })
const tenantBudget = (env: string, period: string, instead: string) =>
  optional(env, tokens, `Tokens that all of a tenant may use in a ${period}; without it as ${instead}`, {
    unit: 'tokens',
    live: true,
  })

export const openai = {
  apiKey: optional('OPENAI_API_KEY', text, 'Key of the OpenAI API', { secret: true }),
  model: setting('OPENAI_MODEL', text, 'gpt-4o-mini', 'Model for sessions that name none', { live: true }),
  organization: optional('OPENAI_ORG_ID', text, 'Organization that OpenAI bills'),
  baseUrl: optional(
    'OPENAI_BASE_URL',
    url('http', 'https'),
    'Any server that speaks the OpenAI API, instead of OpenAI',
  ),
}

export const anthropic = {
  apiKey: optional('ANTHROPIC_API_KEY', text, 'Key of the Anthropic API, used when no OpenAI key is set', {
    secret: true,
  }),
  model: setting('ANTHROPIC_MODEL', text, 'claude-sonnet-4-6', 'Model for sessions that name none', { live: true }),
  baseUrl: optional(
    'ANTHROPIC_BASE_URL',
    url('http', 'https'),
    'Any server that speaks the Anthropic API, instead of Anthropic',
  ),
}

export const claude = {
  program: optional('CLAUDE_BIN', text, 'Path of Claude Code, in place of the one that the Agent SDK brings'),
  maxProcesses: setting(
    'CLAUDE_MAX_PROCESSES',
    wholeNumber(1, MAX_CLAUDE_PROCESSES),
    '8',
    'Processes of Claude Code on one worker, at work or kept warm; each takes 100 to 125 MB of its own',
    { live: true },
  ),
  idleTimeoutMs: setting(
    'CLAUDE_IDLE_TIMEOUT',
    milliseconds(0),
    '300000',
    'A process of Claude Code that has nothing to do ends after this time; the next task starts it again in a second',
    { unit: 'milliseconds', live: true },
  ),
}

export const memory = {
  maxContextTokens: setting(
    'DAEMON_MAX_CONTEXT_TOKENS',
    wholeNumber(1_000, MAX_CONTEXT_TOKENS),
    '128000',
    'Context of one session, its next answer included',
    { unit: 'tokens', live: true },
  ),
  compactionEnabled: setting(
    'MEMORY_COMPACTION_ENABLED',
    flag,
    'true',
    'Have the model sum up the beginning of a conversation that fills its context; else only its end is sent',
    { live: true },
  ),
  compactionThreshold: setting(
    'MEMORY_COMPACTION_THRESHOLD',
    fraction,
    '0.8',
    'How full a context is when its beginning is summed up',
    { live: true },
  ),
  episodicDays: setting(
    'MEMORY_EPISODIC_DAYS',
    wholeNumber(0, MAX_EPISODIC_DAYS),
    '7',
    'How long it is remembered what was said and done in sessions; 0 remembers facts only',
    { unit: 'days' },
  ),
  embeddingModel: optional(
    'MEMORY_EMBEDDING_MODEL',
    text,
    'Model of the OpenAI API that memory is also searched with by meaning, such as text-embedding-3-small; needs pgvector',
  ),
  embeddingDimensions: setting(
    'MEMORY_EMBEDDING_DIMENSIONS',
    wholeNumber(1, MAX_EMBEDDING_DIMENSIONS),
    '1536',
    'Length of the vectors of that model',
  ),
  embeddingUrl: optional(
    'MEMORY_EMBEDDING_BASE_URL',
    url('http', 'https'),
    'Server of that model, instead of OPENAI_BASE_URL',
  ),
}

export const budget = {
  daily: tokenBudget('TOKEN_BUDGET_DAILY', '1000000', 'day'),
  weekly: tokenBudget('TOKEN_BUDGET_WEEKLY', '5000000', 'week'),
  monthly: tokenBudget('TOKEN_BUDGET_MONTHLY', '20000000', 'month'),
  session: setting('TOKEN_BUDGET_SESSION', tokens, '2000000', 'Tokens that one session may use', {
    unit: 'tokens',
    live: true,
  }),
  tenantDaily: tenantBudget('TOKEN_BUDGET_TENANT_DAILY', 'day', 'TOKEN_BUDGET_DAILY'),
  tenantWeekly: tenantBudget('TOKEN_BUDGET_TENANT_WEEKLY', 'week', 'TOKEN_BUDGET_WEEKLY'),
  tenantMonthly: tenantBudget('TOKEN_BUDGET_TENANT_MONTHLY', 'month', 'TOKEN_BUDGET_MONTHLY'),
  alertsEnabled: setting('TOKEN_BUDGET_ALERTS_ENABLED', flag, 'true', 'Tell clients when a budget runs low', {
    live: true,
  }),
  alertThreshold: setting(
    'TOKEN_BUDGET_ALERT_THRESHOLD',
    fraction,
    '0.8',
    'How much of a budget is used when clients are told, besides 0.5, 0.75, 0.9 and 1',
    { live: true },
  ),
  webhookUrl: optional('TOKEN_BUDGET_WEBHOOK_URL', url('http', 'https'), 'Server that is told when a budget runs low', {
    secret: true,
  }),
  webhookSecret: optional('TOKEN_BUDGET_WEBHOOK_SECRET', text, 'Secret that signs what that server is told', {
    secret: true,
  }),
  chatUrl: optional(
    'TOKEN_BUDGET_CHAT_URL',
    url('http', 'https'),
    'Incoming webhook of Slack, Mattermost or what is compatible: people read there when a budget runs low',
    { secret: true },
  ),
  pricesFile: optional('TOKEN_PRICES_FILE', text, 'Prices of models (.yaml or .json) in place of the built-in table', {
    live: true,
    file: true,
  }),
}

export const neolith = {
  apiUrl: setting('NEOLITH_API_URL', url('http', 'https'), 'http://localhost:3000', 'Server of Neolith'),
  apiKey: optional('NEOLITH_API_KEY', text, 'Key of the Neolith API (vp_…)', { secret: true }),
  apiSecret: optional('NEOLITH_API_SECRET', text, 'Secret that belongs to the key; with both, the service connects', {
    secret: true,
  }),
  sessionType: optional(
    'NEOLITH_SESSION_TYPE',
    choice(SESSION_TYPES),
    'Type of the sessions that do what people ask for in Neolith; without it as for a client that names none',
  ),
}
