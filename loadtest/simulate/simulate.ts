/**
 * `npm run simulate`: says what a cluster of any size would have to carry, and what that rests on.
 */
import { parseArgs } from 'node:util'
import { endIfAskedForHelp } from '../../scripts/usage.js'
import { plainText, writeResults } from '../results.js'
import { ASSUMPTION_NAMES, ASSUMPTIONS, type AssumptionName, assumed } from './assumptions.js'
import { simulate } from './simulation.js'

const EXIT = { ok: 0, usage: 2 } as const
const USAGE = [
  'npm run simulate [-- --<assumption> <value> …] [--json] [--no-results]\n',
  ...ASSUMPTION_NAMES.map((name) => `  --${name.padEnd(22)}${ASSUMPTIONS[name].value}: ${ASSUMPTIONS[name].means}`),
  '',
].join('\n')

function main(args: readonly string[]): number {
  endIfAskedForHelp(args, USAGE)
  const parsed = parse(args)
  if (typeof parsed === 'string') {
    process.stderr.write(`${parsed}\n\n${USAGE}`)
    return EXIT.usage
  }
  const outcome = simulate(parsed.values)
  if (parsed.results)
    writeResults('simulate', ['npm run simulate', ...(args.length > 0 ? ['--', ...args] : [])].join(' '), outcome)
  if (parsed.json) process.stdout.write(`${JSON.stringify(outcome.figures)}\n`)
  else process.stdout.write(`${[outcome.summary, ...outcome.tables.map(plainText), ...outcome.notes].join('\n\n')}\n`)
  return EXIT.ok
}

function parse(args: readonly string[]) {
  try {
    const names = Object.fromEntries(ASSUMPTION_NAMES.map((name) => [name, { type: 'string' as const }]))
    const { values } = parseArgs({
      args: [...args],
      options: {
        ...names,
        json: { type: 'boolean', default: false },
        'no-results': { type: 'boolean', default: false },
      },
    })
    const { json, 'no-results': without, ...given } = values
    const texts = given as Partial<Record<AssumptionName, string>>
    return { values: assumed(texts), json: json === true, results: without !== true }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

process.exitCode = main(process.argv.slice(2))
