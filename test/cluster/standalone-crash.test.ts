/**
 * One process without Redis and Postgres is killed in the middle of a turn and started again on the same directory.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { connect } from '../../src/client/client.js'
import type { StreamEnd } from '../../src/protocol/events.js'
import { ClusterProcess } from '../support/cluster-process.js'

const COUNT = 150
const WORDS_BEFORE_THE_KILL = 20
let model: ScriptedModel

beforeAll(async () => {
  model = await startScriptedModel({ tokensPerSecond: 60 })
})
afterAll(() => model.stop())

test('a turn that kill -9 interrupted goes on after a restart, and the client misses and repeats nothing', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'standalone-'))
  const port = await freePort()
  const start = async () => {
    const daemon = new ClusterProcess({
      args: ['start', '--port', String(port)],
      cwd: directory,
      env: { METRICS_PORT: '0', OPENAI_API_KEY: 'any', OPENAI_BASE_URL: model.openaiUrl },
    })
    await daemon.waitForLine(/"msg":"ready"/)
    return daemon
  }
  const first = await start()
  const client = await connect({ url: `ws://127.0.0.1:${port}` })
  const session = await client.spawn({ sessionType: 'llm', task: `Count to ${COUNT}` })
  const done = session.result()
  let shown = ''
  let end: StreamEnd | undefined
  let restarted: ClusterProcess | undefined
  onTestFinished(async () => {
    client.close()
    await first.stop()
    await restarted?.stop()
    await rm(directory, { recursive: true, force: true })
  })

  const types: string[] = []
  for await (const message of session) {
    types.push(message.type)
    if (message.type === 'stream_chunk') {
      expect(message.data.offset).toBe(Buffer.byteLength(shown))
      shown += message.data.chunk
      if (!restarted && shown.split(' ').length > WORDS_BEFORE_THE_KILL) {
        first.kill('SIGKILL')
        await first.ended
        restarted = await start()
      }
    }
    if (message.type === 'stream_end') end = message
    if (message.type === 'task_completed') break
  }

  expect(restarted).toBeDefined()
  expect(await done).toMatchObject({ type: 'task_completed' })
  expect(shown).toBe(numberedWords(COUNT))
  expect(end?.text).toBe(shown)
  expect(types.filter((type) => type === 'session_takeover')).toHaveLength(1)
  expect(types.filter((type) => type === 'stream_start')).toHaveLength(1)
})

/** A port that both processes can use, one after the other. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  await new Promise((resolve) => server.close(resolve))
  return address.port
}
