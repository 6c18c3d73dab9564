/**
 * A tool call that must never run twice, and what PostgreSQL remembers of it.
 */
import { expect, test } from 'vitest'
import type { Runtime, ToolOutcome } from '../../src/runtimes/runtime.js'
import { ToolIntents } from '../../src/storage/tool-intents.js'
import { WorkerCluster } from '../support/worker-cluster.js'

/** Asks for one call in its first answer, and counts how often it ran. */
function callingOnce() {
  const runs: string[] = []
  const runtime: Runtime = {
    run: async ({ task, journal }) => {
      const call = { callId: `call-${task.id}`, name: 'deploy', input: {} }
      await journal.messageStarted('none')
      const usage = { promptTokens: 1, completionTokens: 1 }
      await journal.messageEnded({ toolCalls: [call], finishReason: 'tool_calls', usage, cost: 0 })
      const refusal = await journal.toolStarted(call, 'once')
      if (!refusal) runs.push(task.id)
      const done: ToolOutcome = { status: 'completed', result: {} }
      await journal.toolEnded(call, refusal ?? done)
      return { output: refusal ? 'refused' : 'ran' }
    },
  }
  return { runs, runtime }
}

test('a call runs once for each command, and its intent is in PostgreSQL before', async () => {
  const { runs, runtime } = callingOnce()
  const cluster = await WorkerCluster.start({ runtimeOf: () => runtime })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'first' })
  await session.event('task_completed')
  await session.execute({ description: 'second' }, 'second-command')
  await session.event('task_completed', 1)

  const rows = await cluster.database.sql.selectFrom('tool_intents').selectAll().orderBy('at').execute()

  expect(rows).toMatchObject([
    { session_id: session.id, command_id: session.id, step: 1, position: 0, tool: 'deploy' },
    { session_id: session.id, command_id: 'second-command', step: 1, position: 0, tool: 'deploy' },
  ])
  expect(runs).toHaveLength(2)
})

test('a call of which only PostgreSQL remembers that it began is not run, and its outcome is unknown', async () => {
  const { runs, runtime } = callingOnce()
  const cluster = await WorkerCluster.start({ runtimeOf: () => runtime })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'first' })
  await session.event('task_completed')
  // What a worker wrote whose last second of Redis is lost: the model is asked again and gives the call another id.
  const lost = { sessionId: session.id, commandId: 'repeated-command', step: 1, position: 0, callId: 'lost-call' }
  await new ToolIntents(cluster.database).begin({ ...lost, tool: 'deploy', token: 'a former owner' })

  await session.execute({ description: 'second' }, 'repeated-command')

  const result = await session.event('tool_call_result', 1)
  expect(result.data).toMatchObject({ status: 'failed', error: expect.stringContaining('outcome is unknown') })
  expect((await session.event('task_completed', 1)).result.output).toBe('refused')
  expect(runs).toHaveLength(1)
})
