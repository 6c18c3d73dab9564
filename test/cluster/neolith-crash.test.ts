/**
 * The process that reports to Neolith is killed with -9 in the middle of answers: another one signs nobody in anew, goes on
 * where the killed one was, and writes nothing twice.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { ClusterProcess } from '../support/cluster-process.js'
import { createServerDatabase } from '../support/databases.js'
import { API_KEY, API_SECRET, FakeNeolith, type StoredMessage } from '../support/fake-neolith.js'
import { answered, expectOnce, kindOf, longTask, neolithSettings, wordsOf } from '../support/neolith-task.js'

const PATIENCE = { timeout: 120_000, interval: 50 }
const SPEAKS = /this node speaks to Neolith/
const TASKS = 4

let stores: Awaited<ReturnType<typeof createServerDatabase>>
let folder: string
let neolith: FakeNeolith
let settings: Record<string, string>
const running: ClusterProcess[] = []

beforeAll(async () => {
  stores = await createServerDatabase()
  folder = await mkdtemp(join(tmpdir(), 'neolith-'))
  neolith = await FakeNeolith.start()
  neolith.messagesPerMinute = 600
  settings = {
    ...neolithSettings(neolith, API_KEY, API_SECRET),
    ...{ REDIS_URL: process.env.TEST_REDIS_URL ?? '', DATABASE_URL: stores.url, METRICS_ENABLED: 'false' },
    ...{ CLUSTER_NAME: `neolith_${randomBytes(4).toString('hex')}`, SHARD_COUNT: '8' },
  }
  for (const role of ['coordinator', 'worker', 'edge', 'edge']) await start(role)
})

afterAll(async () => {
  await Promise.all(running.map((node) => node.stop()))
  await neolith?.stop()
  await stores?.remove()
  if (folder) await rm(folder, { recursive: true, force: true })
})

async function start(role: string): Promise<void> {
  const node = new ClusterProcess({
    args: ['start', '--port', '0'],
    cwd: folder,
    env: { ...settings, DAEMON_ROLE: role },
  })
  running.push(node)
  await node.waitForLine(/"msg":"ready"/, PATIENCE.timeout)
}

const speakers = (): readonly ClusterProcess[] => running.filter(({ lines }) => lines.some((line) => SPEAKS.test(line)))

test('answers are whole, and each message of them is there once', async () => {
  const { text, paragraph } = longTask(6, 1_500)
  const asked: readonly StoredMessage[] = Array.from({ length: TASKS }, () => neolith.say(text))
  const begun = (message: StoredMessage) => neolith.answersTo(message).map(kindOf).includes('progress')
  await vi.waitFor(() => expect(asked.every(begun)).toBe(true), PATIENCE)
  const [speaker] = speakers()

  // Its last message may have arrived without its knowing.
  neolith.fail('POST /api/daemon/messages', { kind: 'slow', ms: 2_000 })
  await vi.waitFor(() => expect(neolith.faultsLeft).toBe(0), PATIENCE)
  process.kill(speaker?.pid ?? 0, 'SIGKILL')
  running.splice(running.indexOf(speaker as ClusterProcess), 1)
  const answers = await Promise.all(asked.map((message) => answered(neolith, message, PATIENCE.timeout)))

  for (const each of answers) {
    expectOnce(each)
    expect(wordsOf(each)).toBe(paragraph.repeat(6).replace(/\s+/g, ' '))
  }
  expect(speakers()).toHaveLength(1)
  expect(neolith.calls('POST /api/daemon/auth')).toHaveLength(1)
})
