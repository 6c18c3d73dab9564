/**
 * `orchestrator-daemon chaos verify`: proves the guarantees on this machine, with real processes and real faults.
 */
import { randomInt } from 'node:crypto'
import { type Judgement, judge } from '../chaos/judgement.js'
import { type Selection, selectFaults } from '../chaos/plan.js'
import { Teardown } from '../chaos/teardown.js'
import { type Marks, verdictTable } from '../chaos/verdict-table.js'
import { runFaults, type VerifyOptions } from '../chaos/verify.js'
import { CommandFailure, EXIT } from './exit.js'
import { Output, table } from './output.js'

export interface ChaosFlags {
  readonly minutes: number
  readonly seed?: number
  readonly faults?: readonly string[]
  readonly workers: number
  readonly edges: number
  readonly coordinators: number
  readonly rate: number
  readonly sockets: number
  readonly sentinel?: true
  readonly postgresAway?: number
  readonly redisUrl?: string
  readonly databaseUrl?: string
  readonly keep?: true
  readonly json?: true
}

const MAX_SEED = 2 ** 31

export async function chaosVerify({ faults: tests, seed = randomInt(MAX_SEED), ...flags }: ChaosFlags): Promise<void> {
  const output = new Output()
  const selection = selectionOf({ tests, ...flags })
  const options: VerifyOptions = {
    ...{ ...flags, keep: flags.keep ?? false, sentinel: flags.sentinel ?? false, seed, faults: selection.faults },
    tell: (sentence) => output.note(sentence),
  }
  const judgement = await carryOut(options)
  if (flags.json) output.json(report(options, selection, judgement))
  else show(output, options, selection, judgement)
  process.exitCode = judgement.ok ? EXIT.ok : EXIT.failed
}

function selectionOf(given: Parameters<typeof selectFaults>[0]): Selection {
  try {
    const selection = selectFaults(given)
    if (selection.faults.length > 0) return selection
    const reasons = selection.skipped.map(({ test, reason }) => `${test}: ${reason}`)
    throw new RangeError(`there is nothing to do: ${reasons.join('; ')}`)
  } catch (error) {
    throw error instanceof RangeError ? new CommandFailure(error.message) : error
  }
}

/** Whatever comes, nothing that it started is left. */
async function carryOut(options: VerifyOptions): Promise<Judgement> {
  const teardown = new Teardown()
  const interrupt = () => void teardown.run(true).then(() => process.exit(EXIT.interrupted))
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  try {
    return await judge(await runFaults(options, teardown))
  } finally {
    await teardown.run()
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

function report({ seed, minutes }: VerifyOptions, { skipped }: Selection, judgement: Judgement): object {
  const { ok, verdict, load, faults, complaints, folder } = judgement
  return {
    ok,
    seed,
    minutes,
    guarantees: verdict.guarantees,
    figures: verdict.figures,
    load,
    faults,
    skipped,
    complaints,
    folder,
  }
}

function show(output: Output, { keep }: VerifyOptions, { skipped }: Selection, judgement: Judgement): void {
  const { green, red, dim } = output.colours
  const marks: Marks = { good: green, bad: red, faint: dim }
  const { verdict, load, complaints, folder } = judgement
  for (const line of verdictTable(verdict, marks)) output.line(line)
  const { sent, ended, refused, repeated, duplicates } = load.counts
  output.line(
    `\n${sent} commands sent, ${ended} ended, ${refused} refused; sent again ${repeated} times, and ${duplicates} times by others.`,
  )
  for (const line of table(skipped.map(({ test, reason }) => [`not run: ${test}`, reason]))) output.line(dim(line))
  for (const complaint of complaints) output.line(red(complaint))
  if (keep) output.line(`Journals and logs: ${folder}`)
}
