/**
 * Claude Code calls the model by itself; each of its calls is reserved and counted all the same.
 */
import { expect, test } from 'vitest'
import { claudeCluster } from '../support/claude-cluster.js'
import type { Asked, Says } from '../support/claude-vendor.js'
import { countedBudgets } from '../support/counted-budgets.js'

/** A task that never comes to an end by itself. */
function script({ last, isToolResult }: Asked): Says {
  if (isToolResult || last.includes('go on')) {
    const input = { command: 'true', description: 'x' }
    return { text: 'Once more.', calls: [{ name: 'Bash', input }] }
  }
  return { text: 'Done.' }
}

test('each call is counted with the tools that it asks for, once', async () => {
  const { budgets, rows } = countedBudgets(1_000_000)
  const { cluster } = await claudeCluster(({ isToolResult }) => (isToolResult ? { text: 'Done.' } : script(GO_ON)), {
    worker: { budgets },
  })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'go on' })

  const done = await session.event('task_completed')

  expect(rows.map(({ tools }) => tools)).toEqual([['Bash'], []])
  const sum = rows.reduce((total, row) => total + row.promptTokens + row.completionTokens, 0)
  expect(sum).toBe(done.usage.promptTokens + done.usage.completionTokens)
  expect(rows.every(({ model }) => model.startsWith('claude'))).toBe(true)
})

test('a task ends when its budget does, and the next one is refused without a call', async () => {
  const { budgets, rows } = countedBudgets(60)
  const { cluster, vendor } = await claudeCluster(script, { worker: { budgets } })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('claude-code', { description: 'go on' })

  const failed = await session.event('task_failed')

  expect(failed).toMatchObject({ code: 'budget_exceeded', resetsAt: expect.stringContaining('T00:00:00.000Z') })
  expect(failed.error).toMatch(/^Token budget exceeded for period: /)
  const used = rows.reduce((total, row) => total + row.promptTokens + row.completionTokens, 0)
  expect(used).toBeGreaterThanOrEqual(60)
  expect(used).toBeLessThan(60 + 25)
  const calls = vendor.requests.length
  await session.execute({ description: 'hello' })
  expect(await session.event('task_failed', 1)).toMatchObject({ code: 'budget_exceeded' })
  expect(vendor.requests).toHaveLength(calls)
})

const GO_ON = { last: 'go on', isToolResult: false } as Asked
