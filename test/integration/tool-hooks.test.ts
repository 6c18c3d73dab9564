/**
 * Where in a turn hooks run: before what a person is asked, after calls that ran and after no others, and anew at the next
 * owner.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import type { Gate, Verdict } from '../../src/runtimes/gate.js'
import type { ToolHooks } from '../../src/runtimes/hooks/hooks.js'
import type { Runtime, ToolOutcome } from '../../src/runtimes/runtime.js'
import { Approvals } from '../../src/storage/approvals.js'
import { WorkerCluster, type WorkerClusterOptions } from '../support/worker-cluster.js'

const PATIENCE = { timeout: 15_000, interval: 20 } as const
const DONE: ToolOutcome = { status: 'completed', result: {} }
const ask = (level: 'confirm' | 'escalate', reason: string): Verdict => ({ decision: 'ask', reason, rule: 'r', level })

/** Makes one call that does nothing, and says how it went. `during` runs in its place. */
const calling = (during = async (): Promise<void> => undefined): Runtime => ({
  run: async (turn) => {
    const { journal, progress } = turn
    const call = { callId: 'call-1', name: 'look', input: {} }
    if (progress.steps === 0) {
      await journal.messageStarted('none')
      const usage = { promptTokens: 1, completionTokens: 1 }
      await journal.messageEnded({ toolCalls: [call], finishReason: 'tool_calls', usage, cost: 0 })
    }
    const refused = await turn.permit(call, 'read')
    if (!progress.openCalls[0]?.started) await journal.toolStarted(call, 'read')
    if (!refused) await during()
    const outcome = await journal.toolEnded(call, refused ?? DONE)
    return { output: JSON.stringify(outcome) }
  },
})

function recorded(verdict: Verdict = { decision: 'allow' }, afterwards?: (workspace: string) => Promise<void>) {
  const ran: string[] = []
  const hooks: ToolHooks = {
    before: async () => {
      ran.push('before')
      return verdict
    },
    after: async ({ workspace }, outcome) => {
      ran.push('after')
      await afterwards?.(workspace)
      return { ...outcome, note: 'noted' }
    },
  }
  return { hooks, ran }
}

async function run(options: Partial<WorkerClusterOptions>) {
  const cluster = await WorkerCluster.start({ runtimeOf: () => calling(), ...options })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'go' })
  return { cluster, session }
}

test('a call that ran is followed by its hooks, and their word is on record', async () => {
  const { hooks, ran } = recorded()

  const { session } = await run({ hooks })

  expect(JSON.parse((await session.event('task_completed')).result.output)).toEqual({ ...DONE, note: 'noted' })
  expect((await session.event('tool_call_result')).data).toMatchObject({ status: 'completed', note: 'noted' })
  expect(ran).toEqual(['before', 'after'])
})

test('what a hook changes in the workspace is kept, also after a call that changes nothing', async () => {
  const { hooks } = recorded(undefined, (workspace) => writeFile(join(workspace, 'formatted.txt'), 'x'))

  const { cluster, session } = await run({ hooks })
  await session.event('task_completed')

  expect((await cluster.workspaces.load(session.id)).map(({ path }) => path)).toEqual(['formatted.txt'])
})

test('a call that a hook refuses is in the audit log, and nothing follows it', async () => {
  const { hooks, ran } = recorded({ decision: 'deny', reason: 'A hook says no.', rule: 'PreToolUse: check' })

  const { cluster, session } = await run({ hooks })

  expect((await session.event('task_completed')).result.output).toContain('A hook says no.')
  await vi.waitFor(async () => {
    const rows = await cluster.database.sql.selectFrom('audit_log').selectAll().execute()
    expect(rows).toMatchObject([{ actor: 'hook', action: 'tool.denied', subject: 'call-1' }])
  }, PATIENCE)
  expect(ran).toEqual(['before'])
})

test('hooks are not asked about what the charter forbids', async () => {
  const { hooks, ran } = recorded()
  const gate: Gate = { judge: () => ({ decision: 'deny', reason: 'The charter says no.', rule: 'r' }) }

  const { session } = await run({ hooks, gate })

  expect((await session.event('task_completed')).result.output).toContain('The charter says no.')
  expect(ran).toEqual([])
})

test.each([
  ['the hook alone', { decision: 'allow' }, 'confirm', 'the hook asks'],
  ['both', ask('escalate', 'the charter asks'), 'escalate', 'the charter asks'],
] as const)(
  'where %s wants a person one question is asked, and a call that is rejected has no hooks after it',
  async (_who, charter, level, reason) => {
    const { hooks, ran } = recorded(ask('confirm', 'the hook asks'))
    const { cluster, session } = await run({ hooks, gate: { judge: () => charter } })
    const request = await session.event('approval_request')

    await new Approvals(cluster.database).decide({
      ...{
        id: request.approvalId,
        tenant: 'acme',
        sessionId: session.id,
        decision: 'reject',
        by: 'alice',
        isAdmin: true,
      },
      ...{ comment: undefined, decisionId: 'decision-1' },
    })

    expect(request).toMatchObject({ level, reason })
    expect((await session.event('task_completed')).result.output).toContain('rejected it')
    expect(ran).toEqual(['before'])
  },
)

test('the next owner of a call that was under way asks its hooks anew', async () => {
  const { hooks, ran } = recorded()
  let begun = 0
  const during = async () => {
    begun += 1
    if (begun === 1) await new Promise<void>(() => undefined)
  }
  const { cluster, session } = await run({ hooks, runtimeOf: () => calling(during) })
  await vi.waitFor(() => expect(begun).toBe(1), PATIENCE)

  await cluster.takeOver('worker-2')

  await session.event('task_completed')
  expect(ran).toEqual(['before', 'before', 'after'])
})
