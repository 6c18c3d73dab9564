/**
 * Bugs that were seeded into the service: the fault suite has to find each of them and to name a guarantee that it breaks. All
 * of them together take a quarter of an hour: `npm run test:mutants`, which does not pass yet. What always runs is that each
 * fits the program as it is, takes effect in a process, and that the suite finds the one that needs no fault.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { runChaosIn } from '../support/chaos-run.js'
import { DIST, MUTANTS, type Mutant, mutantEnv, type Patch } from '../support/mutants/mutants.js'

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
     const journal = { toolStarted: async () => undefined, toolEnded: async (_call, { status }) => console.log(status) }
     const tools = { effectOf: () => 'once', run: async () => ({ status: 'completed', result: {} }) }
     const turn = { journal, signal: new AbortController().signal, beforeEffect: () => undefined, permit: async () => undefined }
     await runCalls(turn, tools, [{ callId: 'x', name: 'bash', input: {}, started: true }])`,
    )

    expect(stdout.trim()).toBe(status)
  },
)

test.each(found)(
  'the fault suite finds $name',
  async ({ name, faults, minutes = 0.4, expected, patches }) => {
    const size = ['--minutes', `${minutes}`, '--rate', '40', '--faults', faults]
    const { report, code, stderr } = await runChaosIn(mutantEnv({ patches }), `mutant: ${name}`, ...size)

    const broken = report.guarantees.filter(({ violated }) => violated > 0).map(({ guarantee }) => guarantee)
    console.info(`${name}: broken are ${broken.join(', ')}`)
    expect(report.ok).toBe(false)
    expect(code).not.toBe(0)
    expect(
      broken.filter((guarantee) => (expected as readonly string[]).includes(guarantee)),
      stderr,
    ).not.toEqual([])
  },
  RUN_TIMEOUT_MS,
)
