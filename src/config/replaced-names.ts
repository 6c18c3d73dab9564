/**
 * Names that the reference reads from the environment and that are no settings here: what does their work instead.
 */

export const REPLACED_NAMES: ReadonlyMap<string, string> = new Map([
  ['ORCHESTRATOR_MODEL', 'OPENAI_MODEL or ANTHROPIC_MODEL name the model of sessions that name none'],
  ['ORCHESTRATOR_TEMPERATURE', 'models answer with a temperature of their own'],
  ['ORCHESTRATOR_TIMEOUT_MS', 'a session that is silent ends by SESSION_TIMEOUT'],
])
