/**
 * The stop of a whole process (row X-13): clients are sent away with the words that they know, the turn at work is put down
 * and goes on at the next start, and all of it within the bound.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import WebSocket from 'ws'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { connect } from '../../src/client/client.js'
import { ClusterProcess } from '../support/cluster-process.js'

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
    const directory = await mkdtemp(join(tmpdir(), 'orderly-'))
    const port = await freePort()
    const env = { METRICS_PORT: '0', OPENAI_API_KEY: 'any', OPENAI_BASE_URL: model.openaiUrl }
    const start = async () => {
      const daemon = new ClusterProcess({
        args: ['start', '--port', String(port)],
        cwd: directory,
        env: { ...env, DAEMON_SHUTDOWN_TIMEOUT: String(SHUTDOWN_TIMEOUT_MS) },
      })
      await daemon.waitForLine(/"msg":"ready"/)
      return daemon
    }
    const first = await start()
    const onlooker = new WebSocket(`ws://127.0.0.1:${port}`)
    const sentAway = new Promise<{ code: number; reason: string }>((resolve) =>
      onlooker.on('close', (code, reason) => resolve({ code, reason: String(reason) })),
    )
    const client = await connect({ url: `ws://127.0.0.1:${port}` })
    const session = await client.spawn({ sessionType: 'llm', task: `Count to ${COUNT}` })
    const done = session.result()
    let shown = ''
    let next: ClusterProcess | undefined
    onTestFinished(async () => {
      client.close()
      onlooker.terminate()
      await first.stop()
      await next?.stop()
      await rm(directory, { recursive: true, force: true })
    })

    for await (const message of session) {
      if (message.type === 'stream_chunk') shown += message.data.chunk
      if (!next && shown.split(' ').length > WORDS_BEFORE_THE_STOP) {
        const asked = performance.now()
        first.kill(signal)
        const code = await first.ended
        expect(performance.now() - asked).toBeLessThan(SHUTDOWN_TIMEOUT_MS + SLACK_MS)
        expect(code).toBe(signal === 'SIGINT' ? 130 : 0)
        next = await start()
      }
      if (message.type === 'task_completed') break
    }

    expect(await sentAway).toEqual({ code: 1012, reason: 'Server shutting down' })
    expect(await done).toMatchObject({ type: 'task_completed' })
    expect(shown).toBe(numberedWords(COUNT))
  },
)

/** A port that both processes can use, one after the other. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  await new Promise((resolve) => server.close(resolve))
  return address.port
}
