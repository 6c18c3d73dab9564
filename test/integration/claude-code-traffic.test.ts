/**
 * Whom Claude Code speaks to: everything that does not go to the model would go through the proxy that its environment
 * names, and the proxy writes down what it is asked for.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { costOf } from '../../src/budget/prices.js'
import { type ClaudeKind, ClaudeSessions } from '../../src/runtimes/claude/claude-sessions.js'
import { WORKSPACE_TOOLS } from '../../src/runtimes/claude/tool-kinds.js'
import type { Transcripts } from '../../src/runtimes/claude/transcript.js'
import { startClaudeVendor } from '../support/claude-vendor.js'
import { recordedTurn } from '../unit/runtimes/recorded-turn.js'

/** What else it does, it does in the first seconds. */
const LINGER_MS = 3_000

/** Refuses everything, and keeps what was asked for. */
async function startProxy(): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = []
  const proxy = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.writeHead(502).end()
  })
  proxy.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`)
    socket.on('error', () => undefined)
    socket.end('HTTP/1.1 502 No\r\n\r\n')
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void proxy.close())
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, asked }
}

const nothingKept: Transcripts = {
  claim: async () => true,
  append: async () => 'ok',
  clear: async () => true,
  load: async () => [],
  paths: async () => [],
}

/** Runs one task with these variables added to the environment of Claude Code. */
async function run(environment: Record<string, string>) {
  const vendor = await startClaudeVendor(() => ({ text: 'Hello.' }))
  const sessions = new ClaudeSessions({
    ...{ model: 'claude-sonnet-4-6', apiKey: 'sk-vendor', baseUrl: vendor.url },
    ...{ costOf, transcripts: nothingKept, sandbox: [], limits: { max: 1, idleMs: 60_000 } },
  })
  onTestFinished(async () => {
    await sessions.stop()
    await vendor.stop()
  })
  const proxy = await startProxy()
  const { turn } = await recordedTurn({ task: 'hello' })
  const through = { HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url, NO_PROXY: '127.0.0.1' }
  const options = () => ({ tools: [...WORKSPACE_TOOLS] })
  const kind: ClaudeKind = {
    type: 'claude-code',
    effectOf: () => 'read',
    options,
    environment: { ...through, ...environment },
  }
  await sessions.run(turn, kind)
  return { proxy, vendor }
}

test('nothing but the messages endpoint is asked for', async () => {
  const { proxy, vendor } = await run({})
  await new Promise((resolve) => setTimeout(resolve, LINGER_MS))

  expect(proxy.asked).toEqual([])
  expect(new Set(vendor.requests.map(({ line }) => line))).toEqual(new Set(['POST /v1/messages']))
})

test('the proxy would see it: without the switch that forbids it, Claude Code asks for more', async () => {
  const allowed = { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '', DISABLE_TELEMETRY: '', DISABLE_ERROR_REPORTING: '' }
  const { proxy } = await run({ ...allowed, DISABLE_AUTOUPDATER: '' })

  await vi.waitFor(() => expect(proxy.asked).not.toEqual([]), { timeout: 20_000 })
})
