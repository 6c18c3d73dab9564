/**
 * Settings of Claude Code take effect.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { effect, RawClient, settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()
afterAll(() => folder.remove())

effect(['CLAUDE_BIN'], 'sessions are carried out by the program that stands there', async () => {
  const [program, mark] = [join(folder.path, 'my-claude'), join(folder.path, 'was-started')]
  writeFileSync(program, `#!/bin/sh\ntouch ${mark}\nexit 3\n`, { mode: 0o755 })
  const running = await startWith(folder.path, { ANTHROPIC_API_KEY: 'k', CLAUDE_BIN: program })
  const client = await RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`)
  client.send({ type: 'spawn_session', payload: { orchestratorId: 'o', task: 'go', sessionType: 'claude-code' } })
  const failed = await client.frame('task_failed')
  client.close()
  await running.stop()

  expect(failed).toMatchObject({ type: 'task_failed' })
  expect(existsSync(mark)).toBe(true)
})
