/**
 * `npm run load -- <scenario>`: starts what the scenario needs, measures, writes RESULTS.md, and stops everything. Exits 0
 * only when every request was answered once and in order.
 */
import { endIfAskedForHelp } from '../scripts/usage.js'
import { parseOptions, SCENARIOS, type Scenario, USAGE } from './options.js'
import { EXIT, perform } from './performance.js'
import { agents } from './scenarios/agents.js'
import { cancel } from './scenarios/cancel.js'
import { cost } from './scenarios/cost.js'
import { idle } from './scenarios/idle.js'
import { moves } from './scenarios/moves.js'
import { peak } from './scenarios/peak.js'
import { publishedTable } from './scenarios/published-table.js'
import { recall } from './scenarios/recall.js'
import { rest } from './scenarios/rest.js'
import type { Outcome, Stage } from './scenarios/scenario.js'
import { sessions } from './scenarios/sessions.js'
import { smoke } from './scenarios/smoke.js'
import { soak } from './scenarios/soak.js'
import { storm } from './scenarios/storm.js'
import { stream } from './scenarios/stream.js'
import { streams } from './scenarios/streams.js'
import { tenThousand } from './scenarios/ten-thousand.js'

const RUN: Readonly<Record<Scenario, (stage: Stage) => Promise<Outcome>>> = {
  ...{ smoke, stream, storm, soak, peak, idle, sessions, moves, cancel, rest, cost, agents, streams, recall },
  ...{ '10k': tenThousand, table: publishedTable },
}

async function main(args: readonly string[]): Promise<number> {
  endIfAskedForHelp(args, USAGE)
  const parsed = parseOptions(args)
  const [word, ...more] = typeof parsed === 'string' ? [] : parsed.words
  const scenario = SCENARIOS.find((name) => name === word)
  if (typeof parsed === 'string' || scenario === undefined || more.length > 0) {
    const problem =
      typeof parsed === 'string' ? parsed : `expected one of ${SCENARIOS.join(', ')}, not ${word ?? 'nothing'}`
    process.stderr.write(`${problem}\n\n${USAGE}`)
    return EXIT.usage
  }
  return perform(scenario, `npm run load -- ${args.join(' ')}`, parsed.options, RUN[scenario])
}

// What is still open (a timer, a socket of a killed process) must not hold the process.
process.exit(await main(process.argv.slice(2)))
