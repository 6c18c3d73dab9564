/**
 * The settings of MCP servers take effect.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { effect, RawClient, settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()

afterAll(() => folder.remove())

effect(['MCP_SERVERS_FILE'], 'a file that is wrong keeps the daemon from starting, with file and field', async () => {
  const file = join(folder.path, 'wrong.yaml')
  writeFileSync(file, 'mcpServers:\n  mine: {args: [x]}\n')

  const start = startWith(folder.path, { MCP_SERVERS_FILE: file })

  await expect(start).rejects.toThrow(`${file}: mcpServers.mine.command: `)
})

effect(['MCP_SERVERS_FILE'], 'sessions may use the servers that it declares, and no others', async () => {
  const file = join(folder.path, 'servers.json')
  writeFileSync(file, JSON.stringify({ mcpServers: { mine: { command: 'false' } } }))
  const running = await startWith(folder.path, { MCP_SERVERS_FILE: file })
  const codeFor = async (server: string) => {
    const client = await RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`)
    const payload = { orchestratorId: 'o', task: 'go', options: { mcpServers: [server] } }
    const { code } = await client.ask({ type: 'spawn_session', payload }, 'task_failed')
    client.close()
    return code
  }

  // Without a key for a model the task ends there, after its servers.
  expect([await codeFor('mine'), await codeFor('other')]).toEqual(['openai_key_missing', 'mcp_server_refused'])
  expect(running.lines.join('\n')).toMatch(/"servers":\["mine"\].*sessions may use these MCP servers/)
  await running.stop()
})
