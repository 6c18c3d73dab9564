/**
 * An MCP server that is a process of its session, while its worker cannot be trusted to own the session. What it does is done
 * by a program of its own, which would go on doing it for a session that another worker has taken over.
 */
import { expect, test, vi } from 'vitest'
import { runningCommand, SUSPENDED_WITHIN, WAIT } from './running-command.js'

test('the server of a worker that beats no more stands still before anybody may take over, and goes on with it', async () => {
  const { node, ticks, stands } = await runningCommand('mcp-server')

  node.kill('SIGSTOP')
  await vi.waitFor(stands, SUSPENDED_WITHIN)
  node.kill('SIGCONT')

  await ticks()
})

test('the server of a worker that was declared dead while it was frozen never runs again', async () => {
  const { node, id, beats, nodes, stands } = await runningCommand('mcp-server')
  node.kill('SIGSTOP')
  await vi.waitFor(stands, SUSPENDED_WITHIN)
  await nodes.setStatus(id, 'dead')
  await beats.declareDead(id)

  node.kill('SIGCONT')

  await vi.waitFor(() => expect(node.exitCode).toBe(3), WAIT)
  await stands()
})

test('the server of a worker that is killed ends with it', async () => {
  const { node, stands } = await runningCommand('mcp-server')

  node.kill('SIGKILL')

  await vi.waitFor(stands, WAIT)
})
