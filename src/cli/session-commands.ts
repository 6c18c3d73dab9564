/**
 * The commands about sessions: spawn and watch them, see what waits, answer what they ask.
 */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { MAX_COMMENT_CHARS } from '../protocol/approvals.js'
import { PRIORITY_ORDER } from '../protocol/schedule.js'
import { MAX_AGENTS, SESSION_TYPES, TASK_TYPES, TOPOLOGIES } from '../protocol/session.js'
import { clientOptions, collected, wholeNumber } from './options.js'

const MAX_LISTED = 10_000
const DEFAULT_LISTED = 50

export function addSessionCommands(root: Command): void {
  clientOptions(root.command('sessions'))
    .description('list sessions, newest first')
    .option('--status <status>', 'only those of this status, such as active')
    .option('--limit <count>', 'at most so many', wholeNumber(1, MAX_LISTED), DEFAULT_LISTED)
    .action(async (flags) => (await import('./sessions.js')).sessions(flags))
  const tasks = clientOptions(root.command('tasks'))
    .description('list tasks that wait: for what, since when, and in which place')
    .option('--session <id>', 'only of this session')
    .addOption(
      new Option('--state <state>', 'of scheduled tasks').choices(['waiting', 'over', 'all']).default('waiting'),
    )
    .option('--limit <count>', 'at most so many', wholeNumber(1, MAX_LISTED), DEFAULT_LISTED)
    .action(async (flags) => (await import('./tasks.js')).tasks(flags))
  clientOptions(tasks.command('cancel'))
    .description('cancel a task that waits for a time or for others, or is repeated')
    .argument('<schedule>', 'its id, which `tasks` shows')
    .action(async (id, _flags, command: Command) =>
      (await import('./tasks.js')).cancelTask(id, command.optsWithGlobals()),
    )
  addApprovalCommands(root)
  addSpawn(root)
  clientOptions(root.command('attach'))
    .description('show what a session has done and goes on doing, also when the daemon restarts meanwhile')
    .argument('<session>', 'id of the session')
    .option('--from <position>', 'start, now, or the id of an event such as 7-42', 'start')
    .addHelpText('after', '\nOn a terminal, lines that you type become tasks; /stop and /cancel do what they say.')
    .action(async (session, flags) => (await import('./attach.js')).attach(session, flags))
}

function addSpawn(root: Command): void {
  const choice = (flags: string, what: string, choices: readonly string[]) => new Option(flags, what).choices(choices)
  clientOptions(root.command('spawn'))
    .description('start a session with a task and show it until the task has ended, or schedule the task')
    .argument('<task>', 'what is to be done')
    .addOption(choice('--type <type>', 'type of the session; default llm', SESSION_TYPES))
    .option('--orchestrator <id>', 'the orchestrator that it belongs to')
    .option('--detach', 'print the id of the session and leave')
    .option('--idempotency-key <key>', 'the same key gives the same session, or the same scheduled task')
    .addOption(choice('--priority <priority>', 'who gets a slot first', PRIORITY_ORDER))
    .addOption(choice('--task-type <type>', 'what kind of task it is', TASK_TYPES))
    .option('--task-id <id>', 'id of the task; default a new one')
    .option('--metadata <json>', 'more about the task, which the model is told')
    .option('--model <model>', 'model of the session, instead of the one in the settings')
    .option('--mcp <server>', 'attach an MCP server, by its name or as <name>=<url>; may be repeated', collected)
    .addOption(choice('--topology <topology>', 'how agents of claude-flow work together', TOPOLOGIES))
    .option('--max-agents <count>', 'agents of claude-flow, at most', wholeNumber(1, MAX_AGENTS))
    .option('--at <time>', 'not before this time, such as 2027-01-31T09:00:00Z')
    .option('--delay <time>', 'not before so long from now, such as 90s, 15m, 24h or 7d')
    .option('--after <task>', 'when this task is completed, or <session>/<task>; may be repeated', collected)
    .option('--cron <pattern>', 'again and again, each time in a session of its own, such as "0 9 * * 1-5"')
    .option('--time-zone <zone>', 'of the pattern; default UTC')
    .addHelpText(
      'after',
      '\nExit code 0 when the task is completed, 1 when it is not, 130 on Ctrl-C; the session goes on.' +
        '\nWith --at, --delay, --after or --cron the id of the scheduled task is printed; `tasks` shows it.',
    )
    .action(async (task, flags) => (await import('./spawn.js')).spawn(task, flags))
}

function addApprovalCommands(root: Command): void {
  const approvals = root.command('approvals').description('tool calls that wait for a person: list and answer them')
  clientOptions(approvals.command('list', { isDefault: true }))
    .description('list those that wait, newest first')
    .option('--session <id>', 'only of this session')
    .option('--all', 'also those that were decided, or that nobody answered in time')
    .option('--limit <count>', 'at most so many', wholeNumber(1, MAX_LISTED), DEFAULT_LISTED)
    .action(async (flags) => (await import('./approvals.js')).approvals(flags))
  for (const decision of ['approve', 'reject'] as const) {
    clientOptions(approvals.command(decision))
      .description(decision === 'approve' ? 'let the call run' : 'keep the call from running')
      .argument('<approval>', 'its id, which `approvals list` shows')
      .option('--reason <text>', 'what the model is told, and the audit log keeps', commentText)
      .action(async (id, flags) => (await import('./approvals.js')).answer(id, decision, flags))
  }
}

function commentText(text: string): string {
  if (text.length <= MAX_COMMENT_CHARS) return text
  throw new InvalidArgumentError(`it has ${text.length} characters, and ${MAX_COMMENT_CHARS} are taken.`)
}
