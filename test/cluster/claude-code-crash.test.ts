/**
 * Claude Code under workers that are killed and frozen: real processes, real stores.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { type ConnectOptions, connect, type SessionHandle } from '../../src/client/client.js'
import type { ServerMessage } from '../../src/protocol/events.js'
import { type Asked, type Says, startClaudeVendor } from '../support/claude-vendor.js'
import { ClusterProcess } from '../support/cluster-process.js'
import { createServerDatabase } from '../support/databases.js'

const START_MS = 60_000
const PATIENCE = { timeout: 90_000, interval: 50 } as const
/** Beats hold for 2.5 s; the rest is for a busy machine. */
const SUSPENDED_WITHIN = { timeout: 10_000, interval: 50 } as const

function script({ last, isToolResult }: Asked): Says {
  if (last.includes('Continue exactly after its last character')) return { text: ' and the rest.' }
  if (last.includes('Go on.')) return { text: 'I go on.' }
  if (isToolResult) return { text: 'Written.' }
  if (last.includes('quince'))
    return { calls: [{ name: 'Bash', input: { command: 'echo 1 > kept.txt', description: 'x' } }] }
  return { text: Array.from({ length: 4_000 }, (_, n) => `n${n}`).join(' ') }
}

async function startCluster() {
  const [database, root] = await Promise.all([createServerDatabase(), mkdtemp(join(tmpdir(), 'claude-crash-'))])
  const vendor = await startClaudeVendor(script, { tokensPerSecond: 50 })
  const name = `claude-${randomBytes(4).toString('hex')}`
  const started: ClusterProcess[] = []
  const start = async (role: string, folder: string): Promise<ClusterProcess> => {
    const node = new ClusterProcess({
      args: ['start', '--role', role],
      env: {
        ...{ REDIS_URL: process.env.TEST_REDIS_URL ?? '', DATABASE_URL: database.url, CLUSTER_NAME: name },
        ...{ SHARD_COUNT: '8', DAEMON_PORT: '0', METRICS_PORT: '0', WORKSPACE_ROOT: join(root, folder) },
        ...{ ANTHROPIC_API_KEY: 'sk-vendor', ANTHROPIC_BASE_URL: vendor.url },
      },
    })
    started.push(node)
    await node.waitForLine(/"msg":"ready"/, START_MS)
    return node
  }
  onTestFinished(async () => {
    await Promise.all(started.map((it) => it.stop()))
    await Promise.all([database.remove(), vendor.stop()])
    await rm(root, { recursive: true, force: true })
  })
  const [, a, b, edge] = await Promise.all([
    start('coordinator', 'c'),
    start('worker', 'a'),
    start('worker', 'b'),
    start('edge', 'e'),
  ])
  const [, port] = await edge.waitForLine(/"port":(\d+).*"msg":"ready"/)
  const webSocket = WebSocket as unknown as NonNullable<ConnectOptions['webSocket']>
  const client = await connect({ url: `ws://127.0.0.1:${port}`, webSocket, connectTimeoutMs: START_MS })
  onTestFinished(() => client.close())
  return { client, vendor, root, workers: { a, b } }
}

/** State of each process that works in the session's directory, such as `S` or `T`, by its id. */
async function processesIn(directory: string): Promise<Map<number, string>> {
  const found = new Map<number, string>()
  for (const pid of (await readdir('/proc')).map(Number).filter(Boolean)) {
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '')
    const stat = cwd === directory ? await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '') : ''
    const state = /\) (\w) /.exec(stat)?.[1]
    if (state !== undefined && state !== 'Z') found.set(pid, state)
  }
  return found
}

interface Watched {
  readonly messages: ServerMessage[]
  text(): string
}

function watch(session: SessionHandle): Watched {
  const messages: ServerMessage[] = []
  void (async () => {
    for await (const message of session) messages.push(message)
  })()
  const text = () => messages.map((it) => (it.type === 'stream_chunk' ? it.data.chunk : '')).join('')
  return { messages, text }
}

/** A session in the middle of an answer, after a task that left a file; and where its process is. */
async function streamingSession() {
  const cluster = await startCluster()
  const session = await cluster.client.spawn({ sessionType: 'claude-code', task: 'remember quince' })
  await session.result()
  const watched = watch(session)
  session.execute('Count slowly').catch(() => undefined)
  await vi.waitFor(() => expect(watched.text()).toContain('n9 '), PATIENCE)
  const inA = await processesIn(join(cluster.root, 'a', session.id))
  const [home, other] = inA.size > 0 ? (['a', 'b'] as const) : (['b', 'a'] as const)
  const directory = join(cluster.root, home, session.id)
  expect((await processesIn(directory)).size).toBeGreaterThan(0)
  return { ...cluster, ...watched, session, directory, worker: cluster.workers[home], other }
}

/** The end of the second task. */
const ended = ({ messages }: Pick<Watched, 'messages'>): Promise<ServerMessage> =>
  vi.waitUntil(() => messages.filter(({ type }) => type === 'task_completed' || type === 'task_failed').at(1), PATIENCE)

const takeovers = (messages: readonly ServerMessage[]) => messages.filter(({ type }) => type === 'session_takeover')

test('a killed worker takes its Claude Code along, and another one goes on with the conversation and the files', async () => {
  const { worker, other, session, directory, messages, vendor, root } = await streamingSession()

  worker.kill('SIGKILL')

  await vi.waitFor(async () => expect(await processesIn(directory)).toEqual(new Map()), {
    timeout: 30_000,
    interval: 20,
  })
  const end = await ended({ messages })
  expect(JSON.stringify(end)).toMatch(/"output":"n0 n1 .* and the rest\."/)
  expect(takeovers(messages)).toHaveLength(1)
  expect(vendor.asked.at(-1)?.all).toContain('quince')
  expect(await readdir(join(root, other, session.id))).toEqual(['kept.txt'])
})

test('the Claude Code of a frozen worker stands still before another one goes on', async () => {
  const { worker, directory, messages } = await streamingSession()

  worker.kill('SIGSTOP')

  await vi.waitFor(async () => {
    expect([...new Set((await processesIn(directory)).values())]).toEqual(['T'])
    expect(takeovers(messages)).toEqual([])
  }, SUSPENDED_WITHIN)
  await ended({ messages })
  expect(takeovers(messages)).toHaveLength(1)
  expect([...new Set((await processesIn(directory)).values())]).toEqual(['T'])
  worker.kill('SIGCONT')
  await worker.ended
  await vi.waitFor(async () => expect(await processesIn(directory)).toEqual(new Map()), SUSPENDED_WITHIN)
})
