/**
 * One process without Redis and Postgres is killed in the middle of a turn and started again on the same directory.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { connect } from '../../src/client/client.js'
import type { StreamEnd } from '../../src/protocol/events.js'
import type { ClusterProcess } from '../support/cluster-process.js'
import { returningDaemon } from '../support/returning-daemon.js'

const COUNT = 150
const WORDS_BEFORE_THE_KILL = 20
let model: ScriptedModel

beforeAll(async () => {
  model = await startScriptedModel({ tokensPerSecond: 60 })
})
afterAll(() => model.stop())

test('a turn that kill -9 interrupted goes on after a restart, and the client misses and repeats nothing', async () => {
  const daemon = await returningDaemon(model)
  const first = await daemon.start()
  const client = await connect({ url: daemon.url })
  const session = await client.spawn({ sessionType: 'llm', task: `Count to ${COUNT}` })
  const done = session.result()
  let shown = ''
  let end: StreamEnd | undefined
  let restarted: ClusterProcess | undefined
  onTestFinished(() => client.close())

  const types: string[] = []
  for await (const message of session) {
    types.push(message.type)
    if (message.type === 'stream_chunk') {
      expect(message.data.offset).toBe(Buffer.byteLength(shown))
      shown += message.data.chunk
      if (!restarted && shown.split(' ').length > WORDS_BEFORE_THE_KILL) {
        first.kill('SIGKILL')
        await first.ended
        restarted = await daemon.start()
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
