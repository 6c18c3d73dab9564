/**
 * The program that delegated a task, and with it the coordinator that saw to it, is killed in the middle: another node
 * goes on, the task runs once, and whoever asks with the same id gets its result.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { forget, watch } from '../../src/chaos/servers/watchdog.js'
import { connect } from '../../src/client/client.js'
import { ClusterProcess, cleanEnvironment } from '../support/cluster-process.js'
import { createServerDatabase } from '../support/databases.js'
import type { Order } from './processes/delegating-program.js'

const PROGRAM = fileURLToPath(new URL('./processes/delegating-program.ts', import.meta.url))
const COUNT = 60
const TOKENS_PER_SECOND = 30
const PATIENCE = { timeout: 90_000, interval: 20 }

let model: ScriptedModel
let stores: Awaited<ReturnType<typeof createServerDatabase>>
let folder: string
let pool: pg.Pool
let settings: Record<Uppercase<string>, string>
const running = new Map<string, ClusterProcess>()

beforeAll(async () => {
  model = await startScriptedModel({ tokensPerSecond: TOKENS_PER_SECOND })
  stores = await createServerDatabase()
  folder = await mkdtemp(join(tmpdir(), 'federation-'))
  pool = new pg.Pool({ connectionString: stores.url, max: 1 })
  settings = {
    REDIS_URL: process.env.TEST_REDIS_URL ?? '',
    DATABASE_URL: stores.url,
    CLUSTER_NAME: `federation_${randomBytes(4).toString('hex')}`,
    DAEMON_ROLE: 'edge',
    METRICS_ENABLED: 'false',
    SHARD_COUNT: '8',
  }
})

/** A machine that is too busy for beats makes them die: each test begins with living ones. */
beforeEach(async () => {
  const missing = ['coordinator', 'worker'].filter((role) => !running.get(role)?.running)
  await Promise.all(missing.map(start))
})

afterAll(async () => {
  await Promise.all([...running.values()].map((it) => it.stop()))
  await pool.end()
  await stores.remove()
  await model.stop()
  await rm(folder, { recursive: true, force: true })
})

async function start(role: string): Promise<ClusterProcess> {
  const env = { ...settings, DAEMON_ROLE: role, OPENAI_API_KEY: 'any', OPENAI_BASE_URL: model.openaiUrl }
  const node = new ClusterProcess({ args: ['start', '--port', '0'], cwd: folder, env })
  running.set(role, node)
  await node.waitForLine(/"msg":"ready"/, PATIENCE.timeout)
  return node
}

/** Starts the program; the lines that it has said so far grow. */
function delegate(order: Omit<Order, 'settings'>): { program: ChildProcess; lines: readonly string[] } {
  const argument = JSON.stringify({ ...order, settings } satisfies Order)
  const program = spawn(process.execPath, ['--import', 'tsx', PROGRAM, argument], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (program.pid === undefined) throw new Error('the program did not start')
  const mark = `KILL=${program.pid}` as const
  watch(mark)
  program.once('exit', () => forget(mark))
  onTestFinished(() => void program.kill('SIGKILL'))
  const lines: string[] = []
  createInterface({ input: program.stdout }).on('line', (line) => lines.push(line))
  return { program, lines }
}

const rows = async <Row extends pg.QueryResultRow>(text: string, ...values: unknown[]): Promise<Row[]> =>
  (await pool.query<Row>(text, values)).rows

const requestsFor = (task: string) => model.requests().filter(({ messages }) => JSON.stringify(messages).includes(task))

test.each<[when: string, moment: (lines: readonly string[], task: string) => boolean]>([
  ['when the delegation is written down', (lines) => lines.includes('written')],
  ['when it is given to an orchestrator', (lines) => lines.includes('delegated')],
  ['while the model speaks', (_lines, task) => requestsFor(task).length > 0],
])('a coordinator that is killed %s loses nothing and doubles nothing', async (_when, moment) => {
  const name = randomBytes(4).toString('hex')
  const [id, orchestrator, task] = [`delegation-${name}`, `counter-${name}`, `Count to ${COUNT} (${name})`]
  const { program, lines } = delegate({ id, orchestrator, task })
  const state = () => `${lines.join('; ')}\nworker: ${running.get('worker')?.tail(3)}`
  await vi.waitFor(() => expect(moment(lines, task), state()).toBe(true), PATIENCE)
  const ended = new Promise((resolve) => program.once('exit', resolve))
  program.kill('SIGKILL')
  await ended
  expect(lines.filter((line) => line.startsWith('{'))).toEqual([])

  const edge = await start('edge')
  const [, port] = await edge.waitForLine(/"port":(\d+)/)
  const client = await connect({ url: `ws://127.0.0.1:${port}` })
  onTestFinished(() => client.close())
  const needs = { from: 'default', to: orchestrator, delegationId: id }
  const result = await client.delegate(task, needs)

  expect(result).toMatchObject({ status: 'completed', orchestrator, attempts: 1 })
  expect(requestsFor(task)).toHaveLength(1)
  const sessions = await rows<{ id: string }>('select id from sessions where orchestrator_id = $1', orchestrator)
  expect(sessions).toEqual([{ id: result.sessionId }])
  const text = await vi.waitUntil(async () => {
    const events = await rows<{ type: string; body: { text?: string } }>(
      'select type, body from events where session_id = $1 order by epoch, seq',
      result.sessionId,
    )
    const types = events.map(({ type }) => type).filter((type) => type.startsWith('task_'))
    if (types.length === 2) expect(types).toEqual(['task_executing', 'task_completed'])
    return types.length === 2 && events.find(({ type }) => type === 'stream_end')?.body.text
  }, PATIENCE)
  expect(text).toBe(numberedWords(COUNT))
  expect(await client.delegate(task, needs)).toEqual(result)
  await edge.stop()
})
