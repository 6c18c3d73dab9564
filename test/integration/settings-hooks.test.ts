/**
 * The setting of hooks takes effect: commands run around the tool calls of sessions.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished } from 'vitest'
import { startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { connect } from '../../src/client/client.js'
import type { ToolCallResult } from '../../src/protocol/events.js'
import { effect, settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()
afterAll(() => folder.remove())

function declared(hooks: object): string {
  const file = join(folder.path, 'hooks.json')
  writeFileSync(file, JSON.stringify({ hooks }))
  return file
}

/** The results of a task that runs a command, writes a file, and so on. */
async function resultsWith(hooks: object) {
  const model = await startScriptedModel()
  const { daemon, stop, config } = await startWith(folder.path, {
    ...{ HOOKS_FILE: declared(hooks), OPENAI_API_KEY: 'sk-of-the-daemon', OPENAI_BASE_URL: model.openaiUrl },
  })
  const client = await connect({ url: `ws://127.0.0.1:${daemon.port}` })
  onTestFinished(async () => {
    client.close()
    await stop()
    await model.stop()
  })
  const session = await client.spawn({ sessionType: 'llm', task: 'Write a report after `cp /etc/hostname copied.txt`' })
  const results: ToolCallResult['data'][] = []
  for await (const message of session) {
    if (message.type === 'tool_call_result') results.push(message.data)
    if (message.type === 'task_completed' || message.type === 'task_failed') break
  }
  const told = JSON.stringify(model.requests().at(-1)?.messages)
  return { results, told, workspace: join(config.worker.workspaceRoot, session.id) }
}

effect(['HOOKS_FILE'], 'a file that is wrong keeps the daemon from starting, with file and field', async () => {
  const file = declared({ PreToolUse: [{ hooks: [{ command: '' }] }] })

  await expect(startWith(folder.path, { HOOKS_FILE: file })).rejects.toThrow(
    `${file}: hooks.PreToolUse.0.hooks.0.command`,
  )
})

effect(['HOOKS_FILE'], 'a hook refuses a call, which does not run, and the model hears why', async () => {
  const check = `grep -q 'cp ' && { echo "nothing is copied here" >&2; exit 2; }; true`

  const { results, told, workspace } = await resultsWith({
    PreToolUse: [{ matcher: 'bash_execute', hooks: [{ command: check }] }],
  })

  expect(results[0]).toMatchObject({ status: 'failed', error: expect.stringContaining('nothing is copied here') })
  expect(told).toContain('nothing is copied here')
  expect(existsSync(join(workspace, 'copied.txt'))).toBe(false)
})

effect(
  ['HOOKS_FILE'],
  'a hook after a call sees what came of it, and its word reaches the model and the log',
  async () => {
    const note = 'cat >> seen.jsonl; env >> seen.env; echo "three words more" >&2; exit 2'

    const { results, told, workspace } = await resultsWith({
      PostToolUse: [{ matcher: 'bash_execute', hooks: [{ command: note }] }],
    })

    expect(results[0]).toMatchObject({ status: 'completed', note: 'three words more' })
    expect(told).toContain('A hook of this service adds: three words more')
    const [first = ''] = readFileSync(join(workspace, 'seen.jsonl'), 'utf8').split('\n')
    expect(first).toContain('"hook_event_name":"PostToolUse"')
    expect(readFileSync(join(workspace, 'seen.env'), 'utf8')).not.toContain('sk-of-the-daemon')
  },
)
