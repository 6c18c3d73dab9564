/**
 * What the in-process bus has answered is there after its process was killed, and nothing is there by half.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Bus, StoredEvent } from '../../../src/bus/bus.js'
import { createMemoryBus } from '../../../src/bus/memory-bus.js'
import { type Database, openDatabase } from '../../../src/storage/database.js'
import { migrate } from '../../../src/storage/migrate.js'
import { StandaloneBus } from '../../../src/storage/standalone-bus.js'
import { logOf, seqOf, submission, TestOwner } from '../../support/bus-actors.js'
import { seededRandom } from '../../support/random.js'
import type { Answer } from './journal-writer.js'

const WRITER = fileURLToPath(new URL('./journal-writer.ts', import.meta.url))
const SHARD = 6
const KILLS = 3
/** Making an empty database, on a busy machine. */
const START_TIMEOUT_MS = 120_000
const TEST_TIMEOUT_MS = 90_000

const root = mkdtempSync(join(tmpdir(), 'bus-journal-'))
const template = join(root, 'template')

// Making a database takes long; each kill gets a copy of this one.
beforeAll(async () => {
  const database = await openDatabase({ kind: 'pglite', directory: template })
  await migrate(database)
  await database.close()
}, START_TIMEOUT_MS)
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Runs the writer on an empty database and kills it while it writes. Returns every answer that it had. */
async function writeAndKill(directory: string, afterAnswers: number): Promise<Answer[]> {
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', WRITER, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  if (!child.stdout) throw new Error('the writer has no output')
  const answers: Answer[] = []
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    answers.push(JSON.parse(line) as Answer)
    if (answers.length === afterAnswers) child.kill('SIGKILL')
  })
  const [[, signal]] = await Promise.all([once(child, 'exit'), once(lines, 'close')])
  expect(signal).toBe('SIGKILL')
  return answers
}

async function reopen(directory: string): Promise<{ bus: Bus; database: Database }> {
  const database = await openDatabase({ kind: 'pglite', directory })
  onTestFinished(() => database.close())
  return { bus: await createMemoryBus({ journal: new StandaloneBus(database) }), database }
}

async function storedEvents(database: Database, sessionId: string): Promise<StoredEvent[]> {
  const query = sql<{ epoch: number; seq: number; body: string }>`
    select epoch, seq, body::text as body from events where session_id = ${sessionId} order by seq`
  return (await query.execute(database.sql)).rows.map((it) => ({ eventId: `${it.epoch}-${it.seq}`, body: it.body }))
}

const ofSession = (answers: readonly Answer[], sessionId: string): Answer[] =>
  answers.filter((it) => (it.kind === 'committed' ? it.change.sessionId : it.sessionId) === sessionId)

async function checkSession(bus: Bus, database: Database, sessionId: string, answers: readonly Answer[]) {
  const record = await bus.log.load(sessionId)
  if (!record) throw new Error(`${sessionId} is gone`)
  const events = await storedEvents(database, sessionId)
  // Without gaps up to the head: the head, the events and the log were written together.
  expect(events.map((it) => seqOf(it.eventId))).toEqual(events.map((_, index) => index + 1))
  expect(record.head).toBe(events.at(-1)?.eventId ?? '0-0')
  expect(await logOf(bus, sessionId)).toEqual(events.slice(seqOf(record.floor)))
  const bodies = new Set(events.map((it) => it.body))
  for (const it of answers)
    if (it.kind === 'committed') for (const body of it.change.events) expect(bodies).toContain(body)
  const trimmed = answers.findLast((it) => it.kind === 'trimmed')
  if (trimmed?.kind === 'trimmed') expect(seqOf(record.floor)).toBeGreaterThanOrEqual(trimmed.seq - 2)
  // Each round puts one command in and takes one out, so all that may differ is the round that was cut.
  expect(record.inbox.length).toBeGreaterThanOrEqual(1)
  expect(record.inbox.length).toBeLessThanOrEqual(2)
  checkLastRound(record, answers)
}

/** The answers of a session come one after the other: what the last ones said is what must be there, or one step more. */
function checkLastRound(record: { inbox: readonly string[]; part: unknown }, answers: readonly Answer[]): void {
  const last = answers.at(-1)
  if (last?.kind === 'accepted') expect(record.inbox.at(-1)).toBe(last.body)
  if (last?.kind !== 'flushed') return
  const { messageId, text } = last
  const isCommitted = record.inbox.length === 1
  if (!isCommitted) expect(record.part).toEqual({ messageId, text: expect.stringMatching(new RegExp(`^${text}`)) })
}

for (let kill = 1; kill <= KILLS; kill++) {
  test(
    `every answered accept, commit, flush and trim is there after kill -9 (kill ${kill})`,
    async () => {
      const random = seededRandom(`journal, kill ${kill}`)
      const directory = join(root, `kill-${kill}`)
      cpSync(template, directory, { recursive: true })

      const answers = await writeAndKill(directory, random.integer(50, 900))
      const { bus, database } = await reopen(directory)

      const sessions = [...new Set(answers.map((it) => (it.kind === 'committed' ? it.change.sessionId : it.sessionId)))]
      expect(sessions).toHaveLength(4)
      for (const sessionId of sessions) await checkSession(bus, database, sessionId, ofSession(answers, sessionId))
      const next = await TestOwner.claim(bus, SHARD, 2)
      for (const sessionId of sessions) await checkGoesOn(next, sessionId, ofSession(answers, sessionId))
      await bus.stop()
    },
    TEST_TIMEOUT_MS,
  )
}

/** The next owner finds ids remembered, resent commits known, and the numbers going on. */
async function checkGoesOn(owner: TestOwner, sessionId: string, answers: readonly Answer[]): Promise<void> {
  const lastCommit = answers.findLast((it) => it.kind === 'committed')
  const head = (await owner.bus.log.peek(sessionId))?.head ?? ''
  if (lastCommit?.kind === 'committed' && seqOf(head) === lastCommit.change.expectedSeq + 2) {
    expect(await owner.commit(lastCommit.change)).toEqual({ status: 'ok' })
  }
  for (const it of answers.filter((answer) => answer.kind === 'accepted').slice(-100)) {
    const { commandId } = it
    const ended = answers.some(
      (answer) => answer.kind === 'committed' && answer.change.ended[0]?.commandId === commandId,
    )
    const [again] = await owner.acceptances(submission(sessionId, 'edge@2-1', { commandId }))
    expect(again?.status).toBe('dup')
    if (ended) expect(again?.detail).toMatch(/^1-\d+$/)
  }
  await owner.append(sessionId, 1)
  expect((await owner.bus.log.peek(sessionId))?.head).toBe(`2-${seqOf(head) + 1}`)
}
