/**
 * `npm run test:fuzz`: a million hostile inputs at the codec and at every door of an edge. Prints its seed, which brings a run
 * back, and ends with 1 when something was found.
 *
 *   npm run test:fuzz -- [--inputs 1000000] [--seed n]
 */
import { parseArgs } from 'node:util'
import { type FuzzReport, fuzz } from './fuzz-run.js'

const MAX_SEED = 2 ** 31
const SAY_EVERY_MS = 5_000
const MIB = 1024 * 1024

const { values } = parseArgs({
  options: { inputs: { type: 'string', default: '1000000' }, seed: { type: 'string' } },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * MAX_SEED))
console.log(`seed ${seed}, ${values.inputs} inputs`)
let saidAt = 0
const report = await fuzz({
  inputs: Number(values.inputs),
  seed,
  onProgress: (target, done, of) => {
    if (performance.now() - saidAt < SAY_EVERY_MS) return
    saidAt = performance.now()
    console.log(`  ${target}: ${done} of ${of}`)
  },
})
show(report)
process.exitCode = report.findings.length === 0 ? 0 : 1

function show({ targets, findings, memory: { before, after } }: FuzzReport): void {
  for (const { target, inputs, seconds } of targets) {
    console.log(`${target}: ${inputs} inputs in ${seconds.toFixed(1)} s, ${Math.round(inputs / seconds)} a second`)
  }
  console.log(`together: ${targets.reduce((sum, { inputs }) => sum + inputs, 0)} inputs`)
  const mib = (bytes: number): string => (bytes / MIB).toFixed(1)
  console.log(
    `heap ${mib(before.heapUsed)} → ${mib(after.heapUsed)} MiB, rss ${mib(before.rss)} → ${mib(after.rss)} MiB`,
  )
  for (const { target, what, input } of findings) console.log(`✗ ${target}: ${what}\n      ${input}`)
  console.log(findings.length === 0 ? '✓ nothing was found' : `${findings.length} findings; seed ${seed}`)
}
