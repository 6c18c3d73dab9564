/**
 * Bugs that were seeded into the service: the fault suite has to find each of them and to name a guarantee that it breaks,
 * in runs that the program as it is passes. All of them together take a quarter of an hour: `npm run test:mutants`. What
 * always runs is that each fits the program as it is, takes effect in a process, and that the suite finds the one that needs
 * no fault.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { runChaosIn } from '../support/chaos-run.js'
import { DIST, type FaultRun, MUTANTS, type Mutant, mutantEnv, type Patch, RUNS } from '../support/mutants/mutants.js'

const run = promisify(execFile)
const ALL = process.env.TEST_MUTANTS === 'all'
const mutants: readonly Mutant[] = Object.values(MUTANTS)
const found: readonly Mutant[] = ALL ? mutants : [MUTANTS.droppedEvent]
/** What is lost is waited for twice: by the fault that does not heal, and by the load. */
const RUN_TIMEOUT_MS = 600_000

/** Runs a program in a process of Node that loads the mutant first. */
async function inProcess(patches: readonly Patch[], program: string): Promise<{ stdout: string; stderr: string }> {
  const env = { ...process.env, ...mutantEnv({ patches }), DIST }
  return await run(process.execPath, ['--input-type=module', '-e', program], { env })
}

/** Loads a file of the built program as the program does. */
const load = (file: string): string =>
  file.endsWith('.lua')
    ? `import { readFileSync } from 'node:fs'
       process.stdout.write(readFileSync(new URL('file://' + process.env.DIST + '${file}'), 'utf8'))`
    : `await import('file://' + process.env.DIST + '${file}')`

describe.each(mutants)('$name', ({ patches }) => {
  const files = [...new Set(patches.map(({ file }) => file))]

  test.each(files)('changes %s', async (file) => {
    const own = patches.filter((patch) => patch.file === file)
    for (const { find } of own) expect(readFileSync(DIST + file, 'utf8').split(find)).toHaveLength(2)

    const { stdout, stderr } = await inProcess(patches, load(file))

    expect(stderr).toContain(`mutant: ${file} is changed`)
    if (file.endsWith('.lua')) for (const { replace } of own) expect(stdout).toContain(replace)
  })
})

test('a change that does not fit ends the process', async () => {
  const patch = { file: 'edge/subscription.js', find: 'what nobody wrote', replace: '' }

  await expect(inProcess([patch], load(patch.file))).rejects.toThrow('0 places in edge/subscription.js')
})

test.each([
  ['the program as it is', [], 'failed'],
  ['the mutant', MUTANTS.repeatedTool.patches, 'completed'],
])(
  'a started once call is given up by the next owner, and run again by the mutant: %s',
  async (_who, patches, status) => {
    const { stdout } = await inProcess(
      patches,
      `const { runCalls } = await import('file://' + process.env.DIST + 'runtimes/tool-round.js')
     const toolEnded = async (_call, outcome) => {
       console.log(outcome.status)
       return outcome
     }
     const journal = { toolStarted: async () => undefined, toolEnded }
     const queue = () => ({ begins: () => undefined, leave: () => undefined })
     const tools = { queue, effectOf: () => 'once', run: async () => ({ status: 'completed', result: {} }) }
     const turn = { journal, signal: new AbortController().signal, beforeEffect: () => undefined, permit: async () => undefined }
     await runCalls(turn, tools, [{ callId: 'x', name: 'bash', input: {}, started: true }])`,
    )

    expect(stdout.trim()).toBe(status)
  },
)

const WIDTHS = [52, 8, 40] as const
const caught: string[] = []

/** What a run of `chaos verify` says, and the guarantees that it found broken. */
async function chaos({ faults, minutes, seed }: FaultRun, patches: readonly Patch[]) {
  const size = ['--minutes', String(minutes), '--rate', '40', '--faults', faults]
  const run = await runChaosIn(patches.length > 0 ? mutantEnv({ patches }) : {}, seed, ...size)
  const broken = run.report.guarantees.filter(({ violated }) => violated > 0)
  const rules = broken.map(({ guarantee, violated }) => `${guarantee} ×${violated}`).join(', ')
  return { ...run, broken, rules, seconds: `${run.report.figures.seconds.toFixed(0)} s` }
}

test.each(found)(
  'the fault suite finds $name',
  async ({ name, run, expected, patches }) => {
    const { report, code, stderr, broken, rules, seconds } = await chaos(run, patches)

    const named = broken.filter(({ guarantee }) => (expected as readonly string[]).includes(guarantee))
    const cells = [name, seconds, rules].map((cell, column) => cell.padEnd(WIDTHS[column] ?? 0))
    caught.push([...cells, named[0]?.examples[0]?.what ?? 'not found'].join(' '))
    expect(report.ok).toBe(false)
    expect(code).not.toBe(0)
    expect(named, `${rules}\n${stderr}`).not.toEqual([])
  },
  RUN_TIMEOUT_MS,
)

test.each(ALL ? Object.values(RUNS) : [])(
  'the program as it is passes the same run: $faults, $minutes minutes, seed $seed',
  async (run) => {
    const { report, code, stderr, rules, seconds } = await chaos(run, [])

    caught.push(['the program as it is', seconds, run.faults].map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0)).join(' '))
    expect(report.complaints).toEqual([])
    expect(rules, JSON.stringify(report.guarantees.flatMap(({ examples }) => examples))).toBe('')
    expect(code, stderr).toBe(0)
  },
  RUN_TIMEOUT_MS,
)

afterAll(() => console.info(`What caught each mutant, and how long its run took:\n${caught.join('\n')}`))
