/**
 * The end of a fault run: the stores are read, the history is checked, and what no journal shows is added to it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { checkHistory, type Verdict } from './checker/checker.js'
import type { FaultRecord } from './fault-runner.js'
import { type LogLine, now, type RunLine } from './journal.js'
import { JournalWriter, journalFiles, openHistory } from './journal-file.js'
import type { LoadReport } from './load/plan.js'
import { readLogs } from './log-reader.js'
import type { ReadStores } from './stores.js'
import type { RunOutcome } from './verify.js'

/** Postgres follows the logs by milliseconds, and by more after an outage. */
const PROJECTION_TIMEOUT_MS = 60_000
const POLL_MS = 250
/** Two looks that find the same number: nothing is projected any more. */
const STILL_LOOKS = 8

export interface Judgement {
  readonly ok: boolean
  readonly verdict: Verdict
  readonly load: LoadReport
  readonly faults: readonly FaultRecord[]
  /** What went wrong and stands in no journal. */
  readonly complaints: readonly string[]
  readonly folder: string
}

export async function judge({ folder, load, runner, run, stores }: RunOutcome): Promise<Judgement> {
  await projected(stores)
  await writeLogs(folder, stores)
  writeRun(folder, { ...run, ended: now() })
  const verdict = await checkHistory(await openHistory(folder))
  const unfinished = load.open === 0 ? [] : [`${load.open} commands had not ended a minute after everything had healed`]
  const complaints = [...runner.complaints, ...unfinished]
  const ok = verdict.ok && complaints.length === 0
  return { ok, verdict, load, faults: runner.records, complaints, folder }
}

/** Waits until Postgres has taken what the logs hold. */
async function projected(stores: ReadStores): Promise<void> {
  const deadline = performance.now() + PROJECTION_TIMEOUT_MS
  let last = ''
  for (let still = 0; still < STILL_LOOKS && performance.now() < deadline; ) {
    const [row] = await stores.query<{ pos: string }>('select coalesce(sum(pos), 0)::text as pos from shard_projection')
    still = row?.pos === last ? still + 1 : 0
    last = row?.pos ?? ''
    await sleep(POLL_MS)
  }
}

async function writeLogs(folder: string, stores: ReadStores): Promise<void> {
  const journal = new JournalWriter<LogLine>(journalFiles.log(folder))
  const { databaseUrl, redisUrl, clusterName } = stores
  for await (const lines of readLogs({ databaseUrl, redis: { url: redisUrl }, cluster: clusterName })) {
    for (const line of lines) journal.append(line)
  }
  journal.close()
}

function writeRun(folder: string, run: RunLine): void {
  const journal = new JournalWriter<RunLine>(journalFiles.run(folder))
  journal.append(run)
  journal.close()
}
