/**
 * Runs a script of this project as k6 would, where k6 cannot be had: `node loadtest/k6/node/main.mjs loadtest/k6/smoke.js`.
 * The same settings in the environment, the same summary, the same exit codes. All virtual users share one thread.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** k6's own. */
const EXIT = { crossed: 99, failed: 107, aborted: 108 }

register('./hooks.mjs', import.meta.url)
globalThis.__ENV = process.env
globalThis.open = (path) => readFileSync(path, 'utf8')

const { Aborted, beginUser } = await import('./execution.mjs')
const { crossed, metrics } = await import('./metrics.mjs')

function end(error) {
  process.stderr.write(`${error.message}\n`)
  process.exit(error instanceof Aborted ? EXIT.aborted : EXIT.failed)
}

function conclude({ options, handleSummary }) {
  const values = Object.fromEntries([...metrics].map(([name, metric]) => [name, { values: metric.values }]))
  for (const [place, text] of Object.entries(handleSummary({ metrics: values }))) {
    if (place === 'stdout') process.stdout.write(text)
    else writeFileSync(place, text)
  }
  const wrong = crossed(options.thresholds)
  if (wrong.length > 0) process.stderr.write(`thresholds on metrics '${wrong.join(', ')}' have been crossed\n`)
  process.exit(wrong.length > 0 ? EXIT.crossed : 0)
}

process.on('uncaughtException', end)
process.on('unhandledRejection', end)
const script = await import(pathToFileURL(resolve(process.argv[2] ?? '')).href)
await script.setup?.()
// Users are at their end when no timer and no socket is left.
process.once('beforeExit', () => conclude(script))
const [{ vus }] = Object.values(script.options.scenarios)
for (let user = 1; user <= vus; user++) {
  beginUser(user)
  script.default()
}
