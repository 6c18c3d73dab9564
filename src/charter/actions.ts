/**
 * What a tool call does, in the words that a charter is written in: one row per class of action, with what happens to it
 * when no charter mentions it, and the English phrases that mean it. docs/charter.md shows this table.
 */

export type Ruling = 'allow' | 'confirm' | 'escalate' | 'deny'

interface ActionRow {
  /** What is done when the charter says nothing. */
  readonly byDefault: Ruling
  /** Phrases of a charter that mean this class. Compared without regard to case, spaces and punctuation. */
  readonly phrases: readonly string[]
}

const row = (byDefault: Ruling, ...phrases: string[]): ActionRow => ({ byDefault, phrases })

export const ACTIONS = {
  'files.read': row('allow', 'Read file operations', 'Read files', 'Code analysis', 'Code review', 'File reading'),
  'files.write': row('allow', 'File modifications', 'Write files', 'Modify files', 'Documentation generation'),
  'files.delete': row('allow', 'File modifications', 'Delete files', 'File deletions'),
  'files.wipe': row('confirm', 'Destructive operations without backup', 'Destructive operations', 'Wipe workspace'),
  'outside.read': row('allow', 'Read files outside the workspace'),
  'outside.write': row('confirm', 'Write files outside the workspace', 'Destructive operations without backup'),
  'outside.delete': row(
    'deny',
    'Delete files outside the workspace',
    'Destructive operations without backup',
    'Destructive operations',
  ),
  'system.write': row(
    'deny',
    'System file modifications',
    'Destructive operations without backup',
    'Destructive operations',
  ),
  'sessions.foreign': row('deny', 'Access to other sessions'),
  'secrets.read': row('deny', 'Expose secrets', 'Read secrets', 'Secret access'),
  'secrets.send': row('deny', 'Expose secrets', 'Exfiltrate secrets'),
  'disk.raw': row('deny', 'Disk operations', 'Destructive operations without backup', 'Destructive operations'),
  'system.halt': row('deny', 'System shutdown', 'Stop the machine'),
  'system.exhaust': row('deny', 'Exhaust resources'),
  'system.service': row('escalate', 'Service management', 'System configuration changes'),
  'download.execute': row('deny', 'Execute downloaded code', 'Run downloaded scripts'),
  'remote.shell': row('deny', 'Remote shells', 'Reverse shells'),
  'remote.run': row('confirm', 'Remote command execution', 'Remote access'),
  privilege: row('escalate', 'Privileged commands', 'Privilege escalation', 'Run as root'),
  'security.change': row(
    'escalate',
    'Security-sensitive operations',
    'Security credential changes',
    'Credential changes',
    'Permission changes',
  ),
  'governance.change': row('escalate', 'Changes to agent permissions', 'Security-sensitive operations'),
  'git.read': row('allow', 'Git status and diff', 'Git read operations'),
  'git.change': row('allow', 'Git commits', 'Git operations'),
  'git.discard': row('allow', 'Discard changes', 'Git operations'),
  'git.push': row('allow', 'Git push', 'Push to remote', 'Git operations'),
  'git.force_push': row('confirm', 'Force push', 'Rewrite history'),
  'git.force_push_main': row('deny', 'Force push to main', 'Force push to master', 'Force push'),
  'database.operate': row('allow', 'Database operations', 'Database queries'),
  'database.destroy': row(
    'escalate',
    'Delete production database',
    'Drop database',
    'Database operations',
    'Destructive operations without backup',
    'Destructive operations',
  ),
  'deploy.production': row('escalate', 'Production deployments', 'Deployments', 'Deploy to production'),
  'infrastructure.read': row('allow', 'Infrastructure queries'),
  'infrastructure.destroy': row(
    'escalate',
    'Delete infrastructure',
    'Destructive operations without backup',
    'Destructive operations',
    'Production deployments',
  ),
  'container.host': row('escalate', 'Privileged containers', 'Security-sensitive operations'),
  'network.request': row('allow', 'Web research', 'Network requests', 'Web requests'),
  'network.send': row('allow', 'External API integrations', 'Network uploads', 'Network requests'),
  'network.raw': row('confirm', 'Raw network connections'),
  'package.install': row('allow', 'Package installation', 'Install dependencies', 'Dependency changes'),
  'package.publish': row('escalate', 'Package publication', 'Publish packages', 'Releases'),
  'process.signal': row('confirm', 'Kill processes', 'Process management'),
  'schedule.persist': row('confirm', 'Scheduled jobs', 'Persistence'),
  'tests.run': row('allow', 'Run test suites', 'Run tests', 'Test execution'),
  'lint.run': row('allow', 'Lint and format code', 'Linting', 'Code formatting'),
  'code.run': row('allow', 'Run programs', 'Bash execution', 'Shell commands', 'Run commands', 'Code execution'),
  'tool.use': row('allow', 'External tools', 'Tool use', 'MCP tools'),
  unresolved: row('confirm', 'Commands that cannot be resolved', 'Dynamic commands'),
} as const satisfies Record<string, ActionRow>

export type ActionClass = keyof typeof ACTIONS

export const ACTION_CLASSES = Object.keys(ACTIONS) as readonly ActionClass[]

/** One thing that a tool call does. */
export interface Action {
  readonly class: ActionClass
  /** What it is, to follow "it": `deletes /etc, which is outside the workspace`. */
  readonly what: string
}

/**
 * Promises of a charter that the service keeps by other means than the gate, and which. A phrase that stands here is
 * neither unknown nor a rule of the gate.
 */
const KEPT_ELSEWHERE: Readonly<Record<string, string>> = {
  'never exhaust api quota': 'token budgets',
  'always maintain audit trail': 'the log of events and the table audit_log',
  'always respect session slot limits': 'resourceLimits and DAEMON_MAX_SESSIONS',
  'escalate blocked requests within 5 minutes': 'approval requests, which go out at once',
  'never auto approve security sensitive operations': 'classes that autoApprove does not reach',
}

const plain = (phrase: string): string =>
  phrase
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, ' ')
    .trim()

const BY_PHRASE: ReadonlyMap<string, readonly ActionClass[]> = phraseTable()

function phraseTable(): Map<string, ActionClass[]> {
  const table = new Map<string, ActionClass[]>()
  for (const name of ACTION_CLASSES) {
    for (const phrase of [name, ...ACTIONS[name].phrases]) {
      table.set(plain(phrase), [...(table.get(plain(phrase)) ?? []), name])
    }
  }
  return table
}

/** The classes that a phrase, or the name of a class, means; none for a phrase that nobody has put in the table. */
export const classesOf = (phrase: string): readonly ActionClass[] => BY_PHRASE.get(plain(phrase)) ?? []

/** What keeps a promise that the gate does not. */
export const keptElsewhere = (phrase: string): string | undefined => KEPT_ELSEWHERE[plain(phrase)]

/** Classes that stay with a human whatever autoApprove says: a phrase in a file must not open them. */
export const NEVER_AUTO: ReadonlySet<ActionClass> = new Set([
  'unresolved',
  'privilege',
  'security.change',
  'governance.change',
  'container.host',
])

/** The first of these that no charter can allow. */
export const forbidden = (actions: readonly Action[]): Action | undefined =>
  actions.find((action) => ACTIONS[action.class].byDefault === 'deny')
