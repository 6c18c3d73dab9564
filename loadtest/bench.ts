/**
 * `npm run bench`: the same load on the bare parts, on this service and on Socket.IO, in one run.
 */
import { endIfAskedForHelp } from '../scripts/usage.js'
import { parseOptions, USAGE } from './options.js'
import { EXIT, perform } from './performance.js'
import { bench } from './scenarios/bench.js'
import { benchPings } from './scenarios/bench-pings.js'

async function main(args: readonly string[]): Promise<number> {
  endIfAskedForHelp(args, USAGE)
  const parsed = parseOptions(args)
  const [word, ...more] = typeof parsed === 'string' ? [] : parsed.words
  if (typeof parsed === 'string' || more.length > 0 || (word !== undefined && word !== 'ping')) {
    const problem = typeof parsed === 'string' ? parsed : `bench takes options and ping, not ${parsed.words.join(' ')}`
    process.stderr.write(`${problem}\n\n${USAGE}`)
    return EXIT.usage
  }
  return perform(
    word === 'ping' ? 'bench ping' : 'bench',
    ['npm run bench', ...(args.length === 0 ? [] : ['--', ...args])].join(' '),
    parsed.options,
    word === 'ping' ? benchPings : bench,
  )
}

// What is still open (a timer, a socket of a killed process) must not hold the process.
process.exit(await main(process.argv.slice(2)))
