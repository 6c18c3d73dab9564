/**
 * Writes docs/compatibility.md from docs/compatibility.rows.json: what a client of the reference daemon may rely on, row
 * by row, and the tests that prove it. `npx tsx scripts/compatibility.ts` after every change of the rows. It writes nothing and
 * fails when a row of the contract is missing, or has no test that names it.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { contractIds } from './contract-rows.js'

const ROWS = new URL('../docs/compatibility.rows.json', import.meta.url)
export const PAGE = new URL('../docs/compatibility.md', import.meta.url)

const STATES = ['works', 'partly', 'not yet'] as const
type State = (typeof STATES)[number]

export interface CompatibilityRow {
  /** As reviews and code name it: `W-10`. */
  readonly id: string
  readonly area: string
  /** What a client of the reference may rely on, in one sentence. */
  readonly promise: string
  readonly state: State
  /** What differs, or what is missing. */
  readonly note?: string
  /** Files of tests that prove what works, from the root of the repository. */
  readonly tests: readonly string[]
}

export const readRows = (): readonly CompatibilityRow[] =>
  JSON.parse(readFileSync(ROWS, 'utf8')) as readonly CompatibilityRow[]

/** The text of a file, by its path from the root of the repository; undefined when there is none. */
export type ReadFile = (path: string) => string | undefined

export const readFile: ReadFile = (path) => {
  const file = new URL(`../${path}`, import.meta.url)
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/** What is wrong with the rows, one sentence each; `contract` has the ids that must be there, and no others. */
export function mistakesIn(
  rows: readonly CompatibilityRow[],
  read: ReadFile,
  contract: readonly string[] = contractIds(),
): readonly string[] {
  const ids = rows.map(({ id }) => id)
  const doubled = ids.filter((id, index) => ids.indexOf(id) !== index)
  return [
    ...contract.filter((id) => !ids.includes(id)).map((id) => `${id} of the contract is missing`),
    ...ids.filter((id) => !contract.includes(id)).map((id) => `${id} is no row of the contract`),
    ...doubled.map((id) => `${id} is there twice`),
    ...rows.flatMap((row) => mistakesOf(row, read)),
  ]
}

function mistakesOf({ id, state, promise, tests }: CompatibilityRow, read: ReadFile): string[] {
  const texts = tests.map((path) => (path.endsWith('.test.ts') ? read(path) : undefined))
  const missing = tests.filter((_path, index) => texts[index] === undefined)
  const isNamed = texts.some((text) => text !== undefined && names(text, id))
  return [
    ...(STATES.includes(state) ? [] : [`${id} has the unknown state ${state}`]),
    ...(promise.endsWith('.') ? [] : [`${id} promises no full sentence`]),
    ...(state !== 'not yet' && tests.length === 0 ? [`${id} says "${state}" and names no test`] : []),
    ...(state === 'not yet' && tests.length > 0 ? [`${id} says "not yet" and names tests`] : []),
    ...missing.map((path) => `${id} names ${path}, which is no test file`),
    ...(tests.length > missing.length && !isNamed ? [`${id} is named by none of its tests`] : []),
  ]
}

/** More ids than one test proves are a list. */
const MAX_IDS_A_LINE = 6
const FILE_HEADER = /^\s*\/\*\*[\s\S]*?\*\//

/**
 * Whether a test is named after the row, or has its id in a comment: the header of the file, and a line that lists many, say
 * of no test that it is the one.
 */
function names(text: string, id: string): boolean {
  const lines = text.replace(FILE_HEADER, '').split('\n')
  return lines.some((line) => hasWhole(line, id) && (line.match(/\b[A-Z]-\d\d\b/g) ?? []).length <= MAX_IDS_A_LINE)
}

/** `W-1` does not stand in W-10. */
const hasWhole = (line: string, id: string): boolean =>
  line.split(id).some((before, index, parts) => {
    const after = parts[index + 1]
    return after !== undefined && !/[\w-]$/.test(before) && !/^[\w-]/.test(after)
  })

const INTRODUCTION = `# Compatibility

What a client, an operator or a program that knows the reference daemon (\`@wundr.io/orchestrator-daemon\` 1.x) may rely on
here, row by row. Generated from [compatibility.rows.json](compatibility.rows.json) by \`npx tsx scripts/compatibility.ts\`.

- **works**: the promise holds, and the named tests prove it. The note says what is added or differs.
- **partly**: some of it holds and is tested; the note says what is missing.
- **not yet**: it does not hold, or no test proves it.

Of the tests of a row one at least is named after the row: its id stands in the title of the test, or in a comment there.

Row ids are those of the contract that reviews and code refer to. A word instead of a number stands for a part of the
contract that has no numbered rows.`

const DIFFERENCES = `## Differences chosen on purpose

Answers are supersets of the README's: a client must ignore fields and message types that it does not know.

- **Additional fields and messages.** Every logged event carries \`eventId\` and \`timestamp\`, text carries \`messageId\` and
  \`offset\`, errors carry \`code\` and \`retryable\`, ends of tasks carry \`usage\`. New messages: \`command_accepted\`,
  \`subscribed\`, \`unsubscribed\`, \`task_cancelled\`, \`session_takeover\`, \`token_refreshed\`,
  \`approval_request\`, \`approval_resolved\`.
- **The spawn answers before the work.** The reference answered when the model was done. A task that ends leaves its session
  \`active\`, so that it can take the next one.
- **Session type.** A spawn that names none gets \`llm\`, which needs no other program; the reference ran everything as
  \`claude-code\`, whatever was asked for, and started no Claude Code for it.
- **Session ids** read \`session_<shard>_<ULID>\`: unique, and any edge finds the session by its id. Clients should take them
  as opaque.
- **\`requestId\` and \`commandId\`.** \`requestId\` is an echo and means nothing else: two messages may carry the same.
  \`commandId\` names a command: sent twice it takes effect once, and either sending is answered with \`command_accepted\`.
  Whoever retries must send the same \`commandId\`, and a spawn the same \`idempotencyKey\`.
- **A spawn that is repeated word for word** under the same task id joins the session that is there, while it lives and at
  most for 24 hours. Another text under the same task id is another session.
- **Without a secret** only this machine may connect: a peer on loopback, with a local Host, no foreign Origin and no proxy
  in between. The reference let in whoever reached its port, also when its own configuration was broken.
- **Tenants.** Events, lists and status show the sessions of the caller's tenant; the reference told every client about
  every session.
- **\`ANTHROPIC_MODEL\`** is \`claude-sonnet-4-6\` unless set. The README's \`claude-3-sonnet-20240229\` has been retired by its
  vendor, so a default that keeps to the README would answer nothing.
- **\`daemon_status\`** is answered with the README's \`daemon_status_response\`, not with the \`daemon_status_update\` of the
  reference's code.
- **Limits.** A message may have 1 MiB unless DAEMON_MAX_MESSAGE_BYTES says more; a larger one is answered with an error, and
  the connection is kept. DAEMON_MAX_SESSIONS bounds sessions at work, per worker; others wait for their turn.
- **A stop** closes connections with 1012, "come back", instead of 1000, "done".
- **Tools** stay in the session's workspace, see nothing of the daemon's environment and reach no private addresses.`

/** The page, whole. */
export function renderPage(rows: readonly CompatibilityRow[]): string {
  const areas = [...new Set(rows.map(({ area }) => area))]
  const tables = areas.map((area) => `## ${area}\n\n${table(rows.filter((row) => row.area === area))}`)
  return `${[INTRODUCTION, counts(rows, areas), DIFFERENCES, ...tables].join('\n\n')}\n`
}

function counts(rows: readonly CompatibilityRow[], areas: readonly string[]): string {
  const line = (name: string, of: readonly CompatibilityRow[]): string =>
    `| ${name} | ${STATES.map((state) => of.filter((row) => row.state === state).length).join(' | ')} |`
  const lines = areas.map((area) =>
    line(
      area,
      rows.filter((row) => row.area === area),
    ),
  )
  const head = `| area | ${STATES.join(' | ')} |\n|---|---:|---:|---:|`
  return [head, ...lines, line('**all**', rows)].join('\n')
}

function table(rows: readonly CompatibilityRow[]): string {
  const lines = rows.map(({ id, state, promise, note, tests }) => {
    const what = note === undefined ? promise : `${promise} *${note}*`
    return `| ${id} | ${state} | ${cell(what)} | ${tests.map(link).join(', ')} |`
  })
  return ['| row | state | promise and *note* | proof |', '|---|---|---|---|', ...lines].join('\n')
}

const cell = (text: string): string => text.replaceAll('|', '\\|')

const link = (path: string): string => `[${basename(path, '.test.ts')}](../${path})`

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mistakes = mistakesIn(readRows(), readFile)
  for (const mistake of mistakes) process.stderr.write(`${mistake}\n`)
  if (mistakes.length > 0) process.exitCode = 1
  else writeFileSync(PAGE, renderPage(readRows()))
}
