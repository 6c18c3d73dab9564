/**
 * A worker in a process of its own, and what a session runs there: it ticks into files, so that one can see whether it runs.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, vi } from 'vitest'
import { newNodeId } from '../../../src/protocol/ids.js'
import { startNode } from './node-process.js'
import type { SessionCommand } from './node-program.js'
import { openPlane } from './plane.js'

/** The window of a beat is 2.5 s; the rest is for a busy machine. */
export const SUSPENDED_WITHIN = { timeout: 12_000, interval: 250 }
export const WAIT = { timeout: 15_000, interval: 20 }
/** Longer than a command pauses between two ticks, on a busy machine too. */
const STILL_MS = 600

/** Two programs of a session on a worker of its own: one in the group of the command, one that has left it. */
export async function runningCommand(as: SessionCommand['as'] = 'tool') {
  const plane = await openPlane()
  const workspace = await mkdtemp(join(tmpdir(), 'workspace-'))
  onTestFinished(() => rm(workspace, { recursive: true, force: true }))
  // Beside the group too: what left it belongs to the command as well.
  const loop = (file: string) => `while :; do echo tick >> ${file}; sleep 0.05; done`
  const line = `setsid bash -c '${loop('beside')}' & ${loop('ticks')}`
  const id = newNodeId('worker-a')
  const node = await startNode(plane, { kind: 'member', id, command: { line, workspace, as } })
  const count = async () => {
    const files = await Promise.all(
      ['ticks', 'beside'].map((it) => readFile(join(workspace, it), 'utf8').catch(() => '')),
    )
    return files.map((text) => text.length)
  }
  const since = async (earlier: readonly number[]) => (await count()).map((ticks, at) => ticks > (earlier[at] ?? 0))
  const ticks = async () => {
    const before = await count()
    await vi.waitFor(async () => expect(await since(before)).toEqual([true, true]), WAIT)
  }
  const stands = async () => {
    const before = await count()
    await sleep(STILL_MS)
    expect(await since(before)).toEqual([false, false])
  }
  await ticks()
  return { ...plane, node, id, ticks, stands }
}
