/**
 * Processes and their children, on a system that may have no `ps`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { expect, onTestFinished, test, vi } from 'vitest'
import { childrenOf, freezeTree, thawTree } from '../../../src/chaos/servers/process-tree.js'

const stateOf = (pid: number): string | undefined =>
  readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[0]

test.runIf(process.platform === 'linux')('a process is frozen with its children, and thawed with them', async () => {
  const parent = spawn('/bin/sh', ['-c', 'sleep 60 & echo begun; wait'], { detached: true, stdio: 'pipe' })
  const pid = parent.pid ?? 0
  onTestFinished(() => void process.kill(-pid, 'SIGKILL'))
  await once(parent.stdout, 'data')
  const children = await childrenOf(pid)
  expect(children).toHaveLength(1)
  const all = [pid, ...children]

  await freezeTree(pid)
  await vi.waitFor(() => expect(all.map(stateOf)).toEqual(['T', 'T']))
  await thawTree(pid)
  await vi.waitFor(() => expect(all.map(stateOf)).toEqual(['S', 'S']))
})
