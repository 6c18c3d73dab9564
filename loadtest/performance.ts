/**
 * From a command line to an exit code: carries out one scenario, shows and keeps what it measured, and stops everything
 * that it started, whether it ended well, failed or was interrupted.
 */
import { loadavg } from 'node:os'
import { Teardown } from '../src/chaos/teardown.js'
import type { LoadOptions } from './options.js'
import { plainText, writeResults } from './results.js'
import type { Outcome, Stage } from './scenarios/scenario.js'

/** As shells have it. */
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

export async function perform(
  name: string,
  command: string,
  options: LoadOptions,
  run: (stage: Stage) => Promise<Outcome>,
): Promise<number> {
  const teardown = new Teardown()
  const say = (line: string): void => {
    if (!options.json) process.stdout.write(`${line}\n`)
  }
  const others = `Load average of the machine when it began: ${loadavg()[0]?.toFixed(1)}.`
  const ended = await Promise.race([attempt(run, { options, teardown, say }), untilInterrupted()])
  await teardown.run(true)
  if (ended === undefined) return EXIT.interrupted
  if (ended instanceof Error) return failed(name, ended, options)
  // Whoever else works on the machine makes everything slower: figures are to be judged by it.
  const outcome = { ...ended, notes: [...ended.notes, others] }
  if (options.results) writeResults(name, command, outcome)
  show(outcome, options, say)
  return ended.faults.length === 0 ? EXIT.ok : EXIT.failed
}

async function attempt(run: (stage: Stage) => Promise<Outcome>, stage: Stage): Promise<Outcome | Error> {
  try {
    return await run(stage)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function failed(name: string, { message }: Error, { json }: LoadOptions): number {
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, faults: [message] })}\n`)
  process.stderr.write(`${name} could not be carried out: ${message}\n`)
  return EXIT.failed
}

function show(outcome: Outcome, { json }: LoadOptions, say: Stage['say']): void {
  const ok = outcome.faults.length === 0
  if (json) {
    const { summary, figures, faults } = outcome
    process.stdout.write(`${JSON.stringify({ ok, summary, faults, figures })}\n`)
    return
  }
  say(`\n${outcome.summary}`)
  for (const table of outcome.tables) say(`\n${plainText(table)}`)
  for (const note of outcome.notes) say(`\n${note}`)
  say(ok ? '\n✓ Nothing went wrong.' : '\n✗ Something is wrong:')
  for (const fault of outcome.faults) say(`  - ${fault}`)
}

/** The first Ctrl-C ends the run in order, a second one at once; what is left is cleaned up by the watchdog. */
function untilInterrupted(): Promise<undefined> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(EXIT.interrupted))
        resolve(undefined)
      })
    }
  })
}
