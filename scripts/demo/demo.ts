/**
 * The product at work: `npm run demo` in one process, `npm run demo -- --cluster` as a cluster that loses a worker. Checks
 * what it shows; exits 0 only when everything was right.
 */

import { Teardown } from '../../src/chaos/teardown.js'
import { endIfAskedForHelp } from '../usage.js'
import { runCluster } from './cluster.js'
import { parseOptions, USAGE } from './options.js'
import type { Outcome, Run } from './outcome.js'
import { Screen } from './screen.js'
import { runStandalone } from './standalone.js'

/** As shells have it. */
const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

async function main(): Promise<number> {
  endIfAskedForHelp(process.argv, USAGE)
  const options = parseOptions(process.argv.slice(2))
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n\n${USAGE}`)
    return EXIT.usage
  }
  const screen = new Screen(process.stdout, process.env, options.json)
  const teardown = new Teardown()
  const interrupted = untilInterrupted()
  const run = { options, screen, teardown, interrupted }
  const ended = await Promise.race([carryOut(run), interrupted])
  const code = ended === undefined ? EXIT.interrupted : report(run, ended)
  if (ended === undefined) screen.close()
  else if (options.keep) await interrupted
  await teardown.run(ended === undefined)
  return code
}

async function carryOut(run: Run): Promise<Outcome> {
  try {
    return await (run.options.cluster ? runCluster(run) : runStandalone(run))
  } catch (error) {
    return { failures: [error instanceof Error ? error.message : String(error)], figures: {} }
  }
}

/** Says how it went and returns the exit code. */
function report({ options, screen }: Run, { failures, figures }: Outcome): number {
  const ok = failures.length === 0
  const { colour } = screen
  if (options.json) process.stdout.write(`${JSON.stringify({ ok, failures, ...figures })}\n`)
  screen.line(ok ? colour.green('\n✓ Everything was checked and is right.') : colour.red('\n✗ Something is wrong:'))
  for (const failure of failures) screen.line(colour.red(`  - ${failure}`))
  return ok ? EXIT.ok : EXIT.failed
}

/** The first Ctrl-C ends the run in order, a second one at once; the watchdog then cleans up. */
function untilInterrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(EXIT.interrupted))
        resolve()
      })
    }
  })
}

// What is still open (a timer, a socket of a killed process) must not hold the process.
process.exit(await main())
