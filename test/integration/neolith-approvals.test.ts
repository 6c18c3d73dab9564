/**
 * Rows G-06 and N-05: a task of Neolith that waits for a person is answered in its thread, by whoever asked for it and by
 * nobody else.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { Requester } from '../contract/http/http-fixture.js'
import { SECRET, token } from '../contract/wire/edge-fixture.js'
import { API_KEY, API_SECRET, FakeNeolith, ORCHESTRATOR, type StoredMessage, USER } from '../support/fake-neolith.js'
import { answered, expectOnce, kindOf, neolithSettings } from '../support/neolith-task.js'
import { PATIENCE, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()
let neolith: FakeNeolith
let model: ScriptedModel
let running: RunningDaemon

beforeAll(async () => {
  const charter = join(folder.path, 'charter.yaml')
  writeFileSync(charter, 'safetyHeuristics: {requireConfirmation: ["cp -r *"], escalate: ["cp -a *"]}\n')
  ;[neolith, model] = await Promise.all([FakeNeolith.start(), startScriptedModel()])
  running = await startWith(folder.path, {
    ...neolithSettings(neolith, API_KEY, API_SECRET),
    ...{ DAEMON_JWT_SECRET: SECRET, SHARD_COUNT: '4', CHARTER_FILE: charter, NEOLITH_SESSION_TYPE: 'llm' },
    ...{ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: model.openaiUrl },
  })
})

afterAll(async () => {
  await running.stop()
  await Promise.all([neolith.stop(), model.stop()])
  folder.remove()
})

/** A task whose first call waits for a person. */
async function waiting(command = 'cp -r . report.md'): Promise<StoredMessage> {
  const task = neolith.say(`@${USER} Write a report after \`${command}\``)
  await vi.waitFor(() => expect(neolith.answersTo(task).map(kindOf)).toContain('approval'), PATIENCE)
  return task
}

const reply = (task: StoredMessage, content: string, authorId = 'alice'): StoredMessage =>
  neolith.store({ content, channelId: task.channelId, parentId: task.id, authorId, metadata: null })

/** What was said to an answer. */
async function said(to: StoredMessage, thread: StoredMessage): Promise<string> {
  const found = () => neolith.answersTo(thread).find(({ metadata }) => metadata?.key === `${to.id}/answer`)
  return (await vi.waitUntil(found, PATIENCE)).content
}

const audited = async (action: string) => {
  const admin = await token({ sub: 'root', claims: { tenant: ORCHESTRATOR, role: 'admin' } })
  const http = new Requester(`http://127.0.0.1:${running.daemon.port}`, { authorization: `Bearer ${admin}` })
  return (await http.get(`/api/audit?action=${action}`)).body.entries
}

test('whoever asked for the task allows the call that waits, and it goes on', async () => {
  const task = await waiting()

  const stranger = reply(task, 'approve', 'mallory')
  const words = [await said(stranger, task)]
  const answer = reply(task, 'approve')
  words.push(await said(answer, task))
  const answers = await answered(neolith, task)

  expect(words).toEqual(['Only whoever asked for this task can answer that.', expect.stringMatching(/^Allowed: /)])
  expect(kindOf(answers.at(-1) as StoredMessage)).toBe('result')
  expectOnce(answers)
  expect((await audited('approval.approved'))[0]).toMatchObject({
    ...{ actor: ORCHESTRATOR, detail: { comment: expect.stringContaining('alice in Neolith') } },
  })
  const late = reply(task, `@${USER} approve`)
  await vi.waitFor(() => expect(neolith.acknowledged).toContain(`msg_${late.id}`), PATIENCE)
}, 60_000)

test('a call is refused with the reason, and what is ambiguous is asked back about', async () => {
  const task = await waiting()

  const unclear = reply(task, `@${USER} approve if it is quick`)
  const stray = neolith.say(`@${USER} approve`)
  const words = [await said(unclear, task), await said(stray, stray)]
  const refused = reply(task, 'reject: not on this machine')
  words.push(await said(refused, task))
  await answered(neolith, task)

  expect(words).toEqual([
    'I am not sure what you mean: please say just `approve`, or `reject` and why.',
    'Please say that in the thread of the task it is about.',
    expect.stringMatching(/^Not allowed: /),
  ])
  expect((await audited('approval.rejected'))[0].detail.comment).toMatch(/^not on this machine — alice in Neolith/)
}, 60_000)

test('what the charter escalates is for an administrator', async () => {
  const task = await waiting('cp -a . old.md')

  const answer = reply(task, 'approve')

  expect(await said(answer, task)).toMatch(/must be answered by an administrator/)
}, 60_000)
