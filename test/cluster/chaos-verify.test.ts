/**
 * The fault suite as a user runs it, short: real processes, faults under load, the history checker. Order and exactness are
 * judged here; how long a fault may be felt is judged by `npm run test:faults`, on a machine that does nothing else.
 */
import { expect, test, vi } from 'vitest'
import { childrenOf } from '../../src/chaos/servers/process-tree.js'
import { launchChaos, runChaos } from '../support/chaos-run.js'

/** So much of what happens to a session on a busy machine is no hang. */
const LIVENESS_MS = 30_000

const SHORT = ['--minutes', '0.3', '--rate', '60', '--sockets', '200'] as const

test.each([
  ['workers, edges and leaders that are killed', 'T1,T2,T3', ['G1', 'G2', 'G3', 'G4', 'G6', 'G7', 'G8']],
  ['workers that freeze past their lease and wake', 'T4', ['G1', 'G2', 'G3', 'G4', 'G6', 'G8', 'G9']],
  ['slow readers, floods and model streams that break off', 'T9,T10', ['G1', 'G2', 'G3', 'G4', 'G6']],
])('every guarantee holds under %s', async (_what, faults, tried) => {
  const { report, code, stderr } = await runChaos(`chaos ${faults}`, ...SHORT, '--faults', faults)

  expect(report.complaints, stderr).toEqual([])
  for (const { guarantee, violated, examples } of report.guarantees) {
    expect({ guarantee, violated, examples }, stderr).toEqual({ guarantee, violated: 0, examples: [] })
  }
  expect(code).toBe(0)
  expect(report.faults.length).toBeGreaterThan(0)
  expect(report.load.open).toBe(0)
  expect(report.load.counts.ended).toBeGreaterThan(100)
  const checked = report.guarantees.filter(({ checked: cases }) => cases > 0).map(({ guarantee }) => guarantee)
  expect(checked).toEqual(expect.arrayContaining(tried))
  for (const { takeoverMs } of report.figures.faults) expect(takeoverMs.max).toBeLessThan(LIVENESS_MS)
})

test('Ctrl-C ends a run and everything that it started', async () => {
  const run = launchChaos('--faults', 'T1', '--minutes', '5', '--rate', '20')
  await run.said(/nodes and the load are ready/)
  const started = await childrenOf(run.pid)

  run.kill('SIGINT')

  expect(started.length).toBeGreaterThan(8)
  expect((await run.ended).code).toBe(130)
  // The watchdog looks once more a second later.
  await vi.waitFor(() => expect(started.filter(isAlive)).toEqual([]), { timeout: 30_000 })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false // No such process.
  }
}
