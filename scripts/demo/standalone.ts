/**
 * The demo in one process: a daemon with its built-in database, one session with a real task on the files of this
 * repository, and a look at whether everything it said is true.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { costOf } from '../../src/budget/prices.js'
import { temporaryFolder } from '../../src/chaos/servers/watchdog.js'
import { ServiceProcess } from '../../src/chaos/service-process.js'
import { type Client, connect, FROM_START, type SessionHandle } from '../../src/client/client.js'
import { type ModelSource, openModel } from './model-source.js'
import type { Outcome, Run } from './outcome.js'
import { type CheckedReport, checkReport, REPORT, reportTask } from './report-task.js'
import { dollars, number, type Screen, seconds } from './screen.js'
import { SessionRecord, type StoredEvent } from './session-record.js'
import { Transcript } from './transcript.js'

const SOURCES = fileURLToPath(new URL('../../src', import.meta.url))

/** Fast enough to wait for, slow enough to read along. */
const PIECES_PER_SECOND = 40
/** The scripted model needs seconds, a vendor's model rarely more than a minute. */
const TASK_TIMEOUT_MS = 300_000
/** What the scripted model's tokens would cost there. */
const PRICED_AS = 'gpt-4o-mini'

export async function runStandalone(run: Run): Promise<Outcome> {
  const { screen, teardown } = run
  screen.heading('One process, built-in database')
  const model = await openModel(teardown, PIECES_PER_SECOND)
  screen.line(model.description)
  const folder = temporaryFolder()
  teardown.add('the temporary folder', () => folder.remove())
  const workspaces = join(folder.path, 'workspaces')
  const daemon = await startDaemon(run, folder.path, { ...model.env, WORKSPACE_ROOT: workspaces })
  const client = await connect({ url: daemon.url })
  teardown.add('the client', () => client.close())

  const task = reportTask(SOURCES)
  screen.heading('The task')
  screen.line(task)
  screen.heading('The session')
  const session = await client.spawn({ sessionType: 'llm', orchestratorId: 'demo', task })
  const record = await follow(session, screen)
  record.compareWithLog(await readLog(daemon.url, session.id, record.events))
  const report = checkReport(join(workspaces, session.id))
  const failures = [...taskFaults(record), ...record.faults, ...report.faults]

  showResult(screen, model, record, report)
  showWhatNext(run, daemon.url, session.id)
  return { failures, figures: figuresOf(model, record, report) }
}

async function startDaemon({ screen, teardown }: Run, folder: string, env: Record<string, string>) {
  const startedAt = performance.now()
  mkdirSync(join(folder, 'daemon'))
  const daemon = new ServiceProcess({
    ...{ name: 'demo', role: 'all', folder: join(folder, 'daemon') },
    env: { ...env, DATA_DIR: join(folder, 'data') },
  })
  teardown.add('the daemon', (hurry) => daemon.stop(hurry))
  await daemon.ready()
  const tookMs = performance.now() - startedAt
  screen.line(`The daemon (process ${daemon.pid}) listens on ${daemon.url} after ${seconds(tookMs)}.`)
  return daemon
}

/** Shows and records the session until its task has ended. */
async function follow(session: SessionHandle, screen: Screen): Promise<SessionRecord> {
  const record = new SessionRecord(session.id)
  const transcript = new Transcript(screen)
  const read = async (): Promise<void> => {
    for await (const message of session) {
      record.take(message, performance.now())
      transcript.show(message)
      if (record.taskEnd) return
    }
  }
  const timeout = sleep(TASK_TIMEOUT_MS, undefined, { ref: false }).then(() => {
    throw new Error(`the task has not ended after ${seconds(TASK_TIMEOUT_MS)}`)
  })
  await Promise.race([read(), timeout])
  return record
}

/** The log as another client gets it, which comes later and asks for everything. */
async function readLog(url: string, sessionId: string, events: number): Promise<StoredEvent[]> {
  const client: Client = await connect({ url })
  try {
    const again = new SessionRecord(sessionId)
    const stored: StoredEvent[] = []
    for await (const message of await client.attach(sessionId, FROM_START)) {
      again.take(message, performance.now())
      if (again.events > stored.length && message.type !== 'stream_chunk') {
        stored.push({ seq: again.events, body: message as StoredEvent['body'] })
      }
      if (again.events === events) break
    }
    return stored
  } finally {
    client.close()
  }
}

function taskFaults({ taskEnd }: SessionRecord): string[] {
  if (taskEnd?.type === 'task_completed') return []
  return [taskEnd?.type === 'task_failed' ? `the task failed: ${taskEnd.error}` : 'the task did not end']
}

function showResult(screen: Screen, model: ModelSource, { taskEnd }: SessionRecord, report: CheckedReport): void {
  const { colour } = screen
  if (taskEnd?.type === 'task_completed') {
    screen.heading('The result')
    screen.line(taskEnd.result.output)
  }
  screen.heading(REPORT)
  screen.line(colour.dim(report.text.trim()))
  const { promptTokens = 0, completionTokens = 0, cost = 0, duration = 0 } = taskEnd?.usage ?? {}
  const asIf = costOf(PRICED_AS, { promptTokens, completionTokens })
  const free = ` (the scripted model is free; ${PRICED_AS} would take about ${dollars(asIf)})`
  screen.heading('Tokens and cost')
  screen.line(
    `${number(promptTokens)} in, ${number(completionTokens)} out, ${dollars(cost)}${model.isScripted ? free : ''}, ` +
      `${seconds(duration)}`,
  )
}

const figuresOf = (model: ModelSource, { taskEnd, events, ends }: SessionRecord, report: CheckedReport) => ({
  form: 'standalone',
  model: model.isScripted ? 'scripted' : 'vendor',
  task: taskEnd?.type,
  usage: taskEnd?.usage,
  events,
  messages: ends.length,
  report: { files: report.files, lines: report.lines, bytes: Buffer.byteLength(report.text) },
})

function showWhatNext({ screen, options }: Run, url: string, sessionId: string): void {
  if (options.keep) {
    screen.heading('The daemon stays up until Ctrl-C')
    screen.line(`  npx wscat -c ${url}
    > {"type":"subscribe","payload":{"sessionId":"${sessionId}","from":{"eventId":"0-0"}}}
    > {"type":"execute_task","payload":{"sessionId":"${sessionId}","task":"Count to 50"}}`)
    return
  }
  screen.heading('How to go on')
  screen.line(`  npm run demo -- --keep       the same, and the daemon stays up to attach to
  npm run demo -- --cluster    six processes, 20 sessions, and a worker that is killed
  node dist/main.js start      a daemon of your own on ws://127.0.0.1:8787; then, in another terminal:
    npx wscat -c ws://127.0.0.1:8787
    > {"type":"spawn_session","payload":{"sessionType":"llm","task":"Which of my files is the longest?"}}
  README.md, src/README.md     what it is, and a tour of the code`)
}
