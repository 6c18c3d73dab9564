/**
 * A session's command while its worker cannot be trusted to own the session: frozen, stuck, declared dead or killed.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { newNodeId } from '../../../src/protocol/ids.js'
import { startNode } from './node-process.js'
import { openPlane } from './plane.js'

/** The window of a beat is 2.5 s; the rest is for a busy machine. */
const SUSPENDED_WITHIN = { timeout: 6_000, interval: 250 }
const WAIT = { timeout: 15_000, interval: 20 }
/** Longer than a command pauses between two ticks, on a busy machine too. */
const STILL_MS = 600

async function runningCommand() {
  const plane = await openPlane()
  const workspace = await mkdtemp(join(tmpdir(), 'workspace-'))
  onTestFinished(() => rm(workspace, { recursive: true, force: true }))
  // Beside the group too: what left it belongs to the command as well.
  const loop = (file: string) => `while :; do echo tick >> ${file}; sleep 0.05; done`
  const line = `setsid bash -c '${loop('beside')}' & ${loop('ticks')}`
  const id = newNodeId('worker-a')
  const node = await startNode(plane, { kind: 'member', id, command: { line, workspace } })
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

test('the commands of a frozen worker stand still before anybody may take over, and go on with it', async () => {
  const { node, ticks, stands } = await runningCommand()

  node.kill('SIGSTOP')
  await vi.waitFor(stands, SUSPENDED_WITHIN)
  node.kill('SIGCONT')

  await ticks()
})

test('a worker whose main loop is stuck keeps its commands, because it beats', async () => {
  const { node, ticks } = await runningCommand()

  node.stdin?.write('block 30000\n')
  await sleep(3_500)

  await ticks()
})

test('the commands of a worker that was declared dead while it was frozen never run again', async () => {
  const { node, id, beats, nodes, stands } = await runningCommand()
  node.kill('SIGSTOP')
  await vi.waitFor(stands, SUSPENDED_WITHIN)
  await nodes.setStatus(id, 'dead')
  await beats.declareDead(id)

  node.kill('SIGCONT')

  await vi.waitFor(() => expect(node.exitCode).toBe(3), WAIT)
  await stands()
})

test('the commands of a worker that is killed end within a second', async () => {
  const { node, stands } = await runningCommand()

  node.kill('SIGKILL')

  await vi.waitFor(stands, { timeout: 1_000 + STILL_MS, interval: 50 })
})
