/**
 * The stop of a whole process (row X-13): clients are sent away with the words that they know, the turn at work is put down
 * and goes on at the next start, and all of it within the bound.
 */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import WebSocket from 'ws'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { connect } from '../../src/client/client.js'
import type { ClusterProcess } from '../support/cluster-process.js'
import { returningDaemon } from '../support/returning-daemon.js'

const COUNT = 150
const WORDS_BEFORE_THE_STOP = 20
const SHUTDOWN_TIMEOUT_MS = 5_000
/** On a machine that does other things as well. */
const SLACK_MS = 3_000
let model: ScriptedModel

beforeAll(async () => {
  model = await startScriptedModel({ tokensPerSecond: 60 })
})
afterAll(() => model.stop())

test.each(['SIGTERM', 'SIGINT'] as const)(
  'X-13: %s ends a process at work in order and in time, and nothing is lost',
  async (signal) => {
    const daemon = await returningDaemon(model, { DAEMON_SHUTDOWN_TIMEOUT: String(SHUTDOWN_TIMEOUT_MS) })
    const first = await daemon.start()
    const onlooker = new WebSocket(daemon.url)
    const sentAway = new Promise<{ code: number; reason: string }>((resolve) =>
      onlooker.on('close', (code, reason) => resolve({ code, reason: String(reason) })),
    )
    const client = await connect({ url: daemon.url })
    const session = await client.spawn({ sessionType: 'llm', task: `Count to ${COUNT}` })
    const done = session.result()
    let shown = ''
    let next: ClusterProcess | undefined
    onTestFinished(() => {
      client.close()
      onlooker.terminate()
    })

    for await (const message of session) {
      if (message.type === 'stream_chunk') shown += message.data.chunk
      if (!next && shown.split(' ').length > WORDS_BEFORE_THE_STOP) {
        const asked = performance.now()
        first.kill(signal)
        const code = await first.ended
        expect(performance.now() - asked).toBeLessThan(SHUTDOWN_TIMEOUT_MS + SLACK_MS)
        expect(code).toBe(signal === 'SIGINT' ? 130 : 0)
        next = await daemon.start()
      }
      if (message.type === 'task_completed') break
    }

    expect(await sentAway).toEqual({ code: 1012, reason: 'Server shutting down' })
    expect(await done).toMatchObject({ type: 'task_completed' })
    expect(shown).toBe(numberedWords(COUNT))
  },
)
