/** Every script that takes options says how it is used, when asked and when it was not understood. */
import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'

const SCRIPTS = [
  'loadtest/load.ts',
  'loadtest/bench.ts',
  'loadtest/simulate/simulate.ts',
  'scripts/demo/demo.ts',
  'scripts/faults/faults.ts',
  'scripts/compose/compose.ts',
]

const run = (script: string, option: string) =>
  spawnSync(process.execPath, ['--import', 'tsx', script, option], { encoding: 'utf8' })

describe.each(SCRIPTS)('%s', (script) => {
  test('--help says how it is used, and nothing else happens', () => {
    const { status, stdout, stderr } = run(script, '--help')
    expect(stdout).toMatch(/^npm run /)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  test('an option that it does not know is named, with how it is used, and nothing else happens', () => {
    const { status, stdout, stderr } = run(script, '--no-such-option')
    expect(stderr).toMatch(/'--no-such-option'.*\n\nnpm run /s)
    expect(stderr).not.toMatch(/^ {4}at /m)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  })
})
