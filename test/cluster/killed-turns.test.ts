/**
 * A worker process is killed with -9 at every position of a turn, with a call of every class under way: its own tools,
 * commands, and tools of MCP servers. What happened stands in the journal of the server on which calls have their effect.
 */
import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test, vi } from 'vitest'
import { newCommandId } from '../../src/protocol/ids.js'
import { Approvals } from '../../src/storage/approvals.js'
import { callingRuntime } from '../support/kills/calling-runtime.js'
import { POSITIONS, type Position } from '../support/kills/positions.js'
import type { WorkerOrders, WorkerWord } from '../support/kills/worker-program.js'
import { type CallScript, World } from '../support/kills/world.js'
import { stdioServer } from '../support/mcp/servers.js'
import { type TestSession, WorkerCluster } from '../support/worker-cluster.js'

const PROGRAM = fileURLToPath(new URL('../support/kills/worker-program.ts', import.meta.url))
const WAIT = { timeout: 60_000, interval: 20 } as const
vi.setConfig({ testTimeout: 180_000 })

type Class = 'read' | 'idempotent' | 'once' | 'ask'

/** Subjects by name: a class, and a tool of it. */
const SUBJECTS: Readonly<
  Record<string, { readonly of: Class; readonly call: (world: World, subject: string) => object }>
> = {
  get: { of: 'read', call: (world, subject) => fetching(world.effectUrl(subject), {}) },
  put: {
    of: 'idempotent',
    call: (world, subject) => fetching(world.effectUrl(subject), { method: 'PUT', idempotent: true }),
  },
  post: { of: 'once', call: (world, subject) => fetching(world.effectUrl(subject), { method: 'POST' }) },
  command: {
    of: 'once',
    call: (world, subject) => ({ tool: 'bash_execute', input: { command: commandLine(world, subject) } }),
  },
  'server-read': { of: 'read', call: (world, subject) => remote('look', world.effectUrl(subject)) },
  'server-idempotent': { of: 'idempotent', call: (world, subject) => remote('put', world.effectUrl(subject)) },
  'server-once': { of: 'once', call: (world, subject) => remote('post', world.effectUrl(subject)) },
  'server-ask': { of: 'ask', call: (world, subject) => remote('trigger', world.effectUrl(subject)) },
}
const NAMES = Object.keys(SUBJECTS)
const isNoted = (name: string): boolean => SUBJECTS[name]?.of === 'once' || SUBJECTS[name]?.of === 'ask'

const fetching = (url: string, more: object) => ({ tool: 'web_fetch', input: { url, ...more } })
const remote = (tool: string, url: string) => ({ tool: `mcp__it__${tool}`, input: { url } })
const commandLine = ({ effectPort }: World, subject: string): string =>
  `exec 3<>/dev/tcp/127.0.0.1/${effectPort}; printf 'GET /effect?subject=${subject} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`

/** How often the effect happens, and whether the model is told that nobody knows. */
function expectedOf(kind: Class, position: Position): { readonly effects: number; readonly isUnknown: boolean } {
  const hasRun = position === 'in the effect' || position === 'before the result'
  if (kind === 'read' || kind === 'idempotent') return { effects: hasRun ? 2 : 1, isUnknown: false }
  // Postgres has the intent, which the log has not: the next owner does not begin what may have begun.
  if (position === 'before the intent') return { effects: 0, isUnknown: true }
  // A person has let it run once more.
  if (kind === 'ask') return { effects: hasRun ? 2 : 1, isUnknown: false }
  if (position === 'after the intent') return { effects: 0, isUnknown: true }
  return { effects: 1, isUnknown: hasRun }
}

/** Everything up to the kill: a worker process whose turns, one for each subject, all stand at `position`. */
async function heldAt(position: Position) {
  const world = await World.start()
  const mark = join(tmpdir(), `servers-${randomUUID()}`)
  const servers = JSON.stringify({ mcpServers: { it: stdioServer(mark, { effects: { trigger: 'ask' } }) } })
  const next = await callingRuntime({ modelUrl: world.modelUrl, servers })
  const redisUrl = process.env.TEST_REDIS_URL ?? ''
  const cluster = await WorkerCluster.start({ redisUrl, runtimeOf: () => next.runtime })
  onTestFinished(() => next.stop())
  const id = await cluster.enlist('worker-1')
  const root = join(cluster.root, 'worker-1')
  const orders: WorkerOrders = { id, redisUrl, ...cluster.stores, root, position, modelUrl: world.modelUrl, servers }
  const sessions = new Map<string, TestSession>()
  world.hold(position)
  const kill = await startWorker(orders, (sessionId) => {
    const subject = [...sessions].find(([, session]) => session.id === sessionId)?.[0]
    world.reached.add(subject ?? sessionId)
  })
  for (const [subject, { call }] of Object.entries(SUBJECTS)) {
    const script = { subject, ...call(world, subject) } as CallScript
    sessions.set(subject, await cluster.spawn('llm', { description: JSON.stringify(script) }, { mcpServers: ['it'] }))
  }
  const approve = approver(cluster, sessions.get('server-ask'))
  await vi.waitFor(async () => {
    await approve()
    expect([...world.reached].sort()).toEqual([...NAMES].sort())
  }, WAIT)
  if (position === 'before the intent') await vi.waitFor(() => intentsNoted(cluster), WAIT)
  return { world, cluster, sessions, kill, approve, mark }
}

async function intentsNoted({ database }: WorkerCluster): Promise<void> {
  const rows = await database.sql.selectFrom('tool_intents').selectAll().execute()
  expect(rows).toHaveLength(NAMES.filter(isNoted).length)
}

/** Returns what kills it. */
async function startWorker(orders: WorkerOrders, onReached: (id: string) => void): Promise<() => void> {
  const child = fork(PROGRAM, [JSON.stringify(orders)], { execArgv: ['--import', 'tsx'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the worker ended with ${code}`)))
    child.on('message', (word: WorkerWord) => ('reached' in word ? onReached(word.reached) : resolve()))
  })
  return () => void child.kill('SIGKILL')
}

/** Plays the person: lets every call run that somebody asks about. */
function approver({ database }: WorkerCluster, session: TestSession | undefined) {
  const seen = new Set<string>()
  return async () => {
    for (const event of session?.events ?? []) {
      if (event.type !== 'approval_request' || seen.has(event.approvalId)) continue
      seen.add(event.approvalId)
      const who = { tenant: 'acme', sessionId: event.sessionId, by: 'ann', isAdmin: true, comment: undefined }
      const decision = { ...who, id: event.approvalId, decision: 'approve' as const, decisionId: newCommandId() }
      await new Approvals(database).decide(decision as Parameters<Approvals['decide']>[0])
      await session?.announce(event.approvalId)
    }
    return seen.size
  }
}

/** Processes of this machine that were started with this word. */
async function processesWith(word: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return pids.filter((_pid, index) => lines[index]?.includes(word))
}

test.each(POSITIONS)('a worker that is killed %s: each class keeps its rule', async (position) => {
  const { world, cluster, sessions, kill, approve, mark } = await heldAt(position)
  const serversBefore = await processesWith(mark)

  kill()
  world.release()
  await vi.waitFor(async () => expect(await processesWith(mark)).toEqual([]), WAIT)
  await cluster.takeOver('worker-2')
  await vi.waitFor(async () => {
    await approve()
    const ended = [...sessions].filter(([, { events }]) => events.some(({ type }) => type === 'task_completed'))
    expect(ended.map(([subject]) => subject)).toEqual(NAMES)
  }, WAIT)

  expect(serversBefore.length).toBeGreaterThanOrEqual(NAMES.length)
  const found = Object.fromEntries(
    [...sessions].map(([subject, { events }]) => {
      const done = events.find((event) => event.type === 'task_completed')
      const output = done?.type === 'task_completed' ? done.result.output : ''
      const effects = world.effects.filter((effect) => effect.subject === subject)
      return [subject, { effects: effects.length, isUnknown: output.includes('outcome is unknown') }]
    }),
  )
  const expected = NAMES.map((name) => [name, expectedOf(SUBJECTS[name]?.of ?? 'once', position)])
  expect(found).toEqual(Object.fromEntries(expected))
  // An effect that happened twice happened under one key.
  for (const subject of ['put', 'server-idempotent']) {
    const keys = world.effects.filter((effect) => effect.subject === subject).map(({ key }) => key)
    expect([subject, new Set(keys)]).toEqual([subject, new Set([`${sessions.get(subject)?.id}:1:1.0`])])
  }
  // One model call is repeated where the kill cut one, none otherwise; and a person was asked twice where it mattered.
  const isCut = ['in the model call', 'before the call is asked for', 'in the answer'].includes(position)
  for (const subject of NAMES) {
    const calls = world.modelCalls.filter((each) => each === subject).length
    expect([subject, calls]).toEqual([subject, isCut ? 3 : 2])
  }
  const hasBegun = ['after the intent', 'in the effect', 'before the result'].includes(position)
  expect(await approve()).toBe(hasBegun ? 2 : 1)
})
