/**
 * Real MCP servers for tests: how one is started over stdio, and one that listens over HTTP.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { buildSync } from 'esbuild'
import { onTestFinished } from 'vitest'
import { parseMcpServers } from '../../../src/runtimes/mcp/servers.js'
import { createTestServer } from './test-server.js'

const SOURCE = fileURLToPath(new URL('./test-server.ts', import.meta.url))
const START_MS = 30_000

let program: string | undefined

/** One file that starts in a moment, wherever the server runs. */
function builtProgram(): string {
  program ??= join(mkdtempSync(join(tmpdir(), 'mcp-server-')), 'server.mjs')
  if (!existsSync(program)) {
    const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" }
    buildSync({ entryPoints: [SOURCE], outfile: program, bundle: true, platform: 'node', format: 'esm', banner })
  }
  return program
}

/** For a file of servers. `pids` is a file that gets the id of each process. */
export const stdioServer = (pids = '', more: object = {}): object => ({
  command: process.execPath,
  args: [builtProgram(), pids],
  startTimeout: START_MS,
  ...more,
})

export const serversOf = (mcpServers: object, env: NodeJS.ProcessEnv = {}, more: object = {}) =>
  parseMcpServers(JSON.stringify({ mcpServers, ...more }), 'servers.json', env)

export interface HttpTestServer {
  readonly url: string
  readonly requests: IncomingHttpHeaders[]
  /** Sessions that are open. */
  readonly sessions: () => number
  /** Forgets all sessions, as a restart does. */
  forget(): void
  /** From now on the session is forgotten with each call of a tool. */
  forgetAtCalls(): void
  /** Breaks all connections off and listens no more. */
  stop(): void
}

/** Streamable HTTP with sessions; ends with the test. */
export async function startHttpServer(): Promise<HttpTestServer> {
  const transports = new Map<string, StreamableHTTPServerTransport>()
  const requests: IncomingHttpHeaders[] = []
  const sockets = new Set<Socket>()
  let forgets = false
  const breakOff = () => {
    for (const socket of sockets) socket.destroy()
  }
  const http = createServer((request, response) => {
    requests.push(request.headers)
    void serve(transports, { breakOff, forgets }, request, response)
  })
  http.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const stop = () => {
    http.close()
    breakOff()
  }
  onTestFinished(stop)
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`
  const forgetAtCalls = () => {
    forgets = true
  }
  return { url, requests, sessions: () => transports.size, forget: () => transports.clear(), forgetAtCalls, stop }
}

async function serve(
  transports: Map<string, StreamableHTTPServerTransport>,
  { breakOff, forgets }: { readonly breakOff: () => void; readonly forgets: boolean },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const id = request.headers['mcp-session-id']
  if (typeof id !== 'string') {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (sessionId) => void transports.set(sessionId, transport),
      onsessionclosed: (sessionId) => void transports.delete(sessionId),
    })
    await createTestServer(breakOff).connect(transport as Parameters<ReturnType<typeof createTestServer>['connect']>[0])
    return await transport.handleRequest(request, response)
  }
  const body = request.method === 'POST' ? ((await json(request)) as { method?: string }) : undefined
  if (forgets && body?.method === 'tools/call') transports.delete(id)
  const transport = transports.get(id)
  if (transport) return await transport.handleRequest(request, response, body)
  response.writeHead(404).end('no such session')
}
