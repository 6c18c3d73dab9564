/**
 * A session's command while its worker cannot be trusted to own the session: frozen, stuck, declared dead or killed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { runningCommand, SUSPENDED_WITHIN, WAIT } from './running-command.js'

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

test('the commands of a worker that is killed end with it', async () => {
  const { node, stands } = await runningCommand()

  node.kill('SIGKILL')

  await vi.waitFor(stands, WAIT)
})
