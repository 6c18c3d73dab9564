/**
 * A person at a shell answers what a session asks.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { Shell } from '../support/command-line.js'
import { freePort } from '../support/free-port.js'

const SECRET = 'a secret of the command line test, long enough'
const PATIENCE = { timeout: 30_000, interval: 200 }
let shell: Shell
let model: ScriptedModel

beforeAll(async () => {
  model = await startScriptedModel()
  shell = await Shell.open({
    ...{ DAEMON_JWT_SECRET: SECRET, DAEMON_PORT: String(await freePort()), CHARTER_FILE: 'charter.yaml' },
    ...{ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: model.openaiUrl },
  })
  const charter = 'safetyHeuristics: {requireConfirmation: [File modifications]}\n'
  await writeFile(join(shell.folder, 'charter.yaml'), charter)
  await shell.startDaemon()
})
afterAll(async () => {
  await shell?.close()
  await model?.stop()
})

interface Listed {
  readonly approvalId: string
  readonly sessionId: string
  readonly state: string
  readonly comment?: string
}

const list = async (...more: string[]): Promise<Listed[]> =>
  JSON.parse((await shell.run('approvals', 'list', '--json', ...more)).stdout)

async function waiting(): Promise<Listed> {
  const task = 'Write a report after `cp -r . report.md`'
  const { stdout } = await shell.run('spawn', task, '--type', 'llm', '--detach')
  return await vi.waitFor(async () => {
    const [found] = await list('--session', stdout.trim())
    if (!found) throw new Error('nothing is asked yet')
    return found
  }, PATIENCE)
}

test('what waits is listed for people and for programs, and an approval lets the call run', async () => {
  const { approvalId, sessionId } = await waiting()
  const page = await shell.run('approvals')

  const approved = await shell.run('approvals', 'approve', approvalId, '--reason', 'go on')

  expect(page).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ID .*CALL\n/) })
  expect(page.stdout).toContain(`${approvalId}  confirm  for 59 min`)
  expect(page.stdout).toContain('The charter wants a person to approve this call')
  expect(approved).toMatchObject({ code: 0, stdout: `approved bash_execute in ${sessionId}\n`, stderr: '' })
  expect((await list('--all', '--session', sessionId)).at(-1)).toMatchObject({ state: 'approved', comment: 'go on' })
})

test('a rejection keeps the call from running, and a second answer hears that it is late', async () => {
  const { approvalId, sessionId } = await waiting()

  const rejected = await shell.run('approvals', 'reject', approvalId, '--json')
  const late = await shell.run('approvals', 'approve', approvalId)

  expect(JSON.parse(rejected.stdout)).toEqual({ approvalId, sessionId, toolName: 'bash_execute', state: 'rejected' })
  expect(late).toEqual({
    code: 1,
    stdout: '',
    stderr: `error: The approval ${approvalId} is no longer open: rejected\n`,
  })
})

test.each([
  [['approve', 'approval_none'], 'There is no approval approval_none for this credential'],
  [['list', '--session', 'session_none'], 'Session not found: session_none'],
  [['reject', 'x', '--reason', 'y'.repeat(1_001)], "option '--reason <text>' argument"],
  [['approve'], "missing required argument 'approval'"],
])('approvals %j ends with 1 and one sentence', async (args, sentence) => {
  const { code, stderr } = await shell.run('approvals', ...args)

  expect([code, stderr]).toEqual([1, expect.stringContaining(sentence)])
  expect(stderr.trim().split('\n')).toHaveLength(1)
})
