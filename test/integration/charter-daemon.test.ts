/**
 * A daemon with a charter, a model that wants more than it may, and a person who answers.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { connect } from '../../src/client/client.js'
import type { ServerMessage } from '../../src/protocol/events.js'
import { settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()
afterAll(() => folder.remove())

const TASK = 'Write a report after `cp -r . report.md`'

async function running(charter: string) {
  const model = await startScriptedModel()
  const file = join(folder.path, 'charter.yaml')
  writeFileSync(file, charter)
  const { daemon, stop } = await startWith(folder.path, {
    ...{ CHARTER_FILE: file, OPENAI_API_KEY: 'k', OPENAI_BASE_URL: model.openaiUrl },
  })
  const client = await connect({ url: `ws://127.0.0.1:${daemon.port}` })
  onTestFinished(async () => {
    client.close()
    await stop()
    await model.stop()
  })
  return client
}

test('what is asked is answered over the wire, and what is refused is told to model and user', async () => {
  const client = await running('safetyHeuristics: {requireConfirmation: [File modifications]}\n')
  const session = await client.spawn({ sessionType: 'llm', task: TASK })
  const seen: ServerMessage[] = []

  for await (const message of session) {
    seen.push(message)
    if (message.type === 'approval_request') {
      const answer = seen.filter(({ type }) => type === 'approval_request').length === 1 ? 'approve' : 'reject'
      await session.decide(message.approvalId, answer, 'because')
    }
    if (message.type === 'task_completed' || message.type === 'task_failed') break
  }

  const statuses = seen.flatMap((message) => (message.type === 'approval_resolved' ? [message.status] : []))
  expect(statuses.slice(0, 2)).toEqual(['approved', 'rejected'])
  const errors = seen.flatMap((message) => (message.type === 'tool_call_result' ? [message.data.error] : []))
  expect(errors.find((error) => error?.includes('rejected it: because'))).toBeDefined()
  await expect(
    session.decide(String(seen.find((each) => each.type === 'approval_request')?.approvalId), 'approve'),
  ).rejects.toMatchObject({ code: 'approval_closed' })
})

test('a call that the charter rejects does not run, and nobody is asked', async () => {
  const client = await running('safetyHeuristics: {alwaysReject: ["cp *"]}\n')
  const session = await client.spawn({ sessionType: 'llm', task: TASK })
  const seen: ServerMessage[] = []

  for await (const message of session) {
    seen.push(message)
    if (message.type === 'task_completed' || message.type === 'task_failed') break
  }

  expect(seen.some(({ type }) => type === 'approval_request')).toBe(false)
  const errors = seen.flatMap((message) => (message.type === 'tool_call_result' ? [message.data.error ?? ''] : []))
  expect(errors[0]).toMatch(/^The charter forbids this call: it .* \(alwaysReject: cp \*\)/)
})
