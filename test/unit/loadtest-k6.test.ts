/**
 * The k6 scripts, by k6 where it can be had and by Node everywhere: they say when the cluster is not ready, and their books
 * find what a server does wrong.
 */
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { type K6Load, type K6Script, runK6 } from '../../loadtest/k6/run-k6.js'
import { findRunner, type K6Runner, nodeRunner } from '../../loadtest/k6/runner.js'
import { Timeline } from '../../loadtest/k6/timeline.js'
import { Teardown } from '../../src/chaos/teardown.js'

const TIMEOUT_MS = 60_000
const found = findRunner()
const runners: readonly K6Runner[] = found.name === 'k6' ? [nodeRunner(), found] : [nodeRunner()]
if (found.name !== 'k6') console.warn('loadtest-k6: only by Node, k6 was not found')

function run(runner: K6Runner, script: K6Script, port: number, load: K6Load) {
  const teardown = new Teardown()
  onTestFinished(() => teardown.run(true))
  return runK6(teardown, runner, script, { urls: [`ws://127.0.0.1:${port}`], tokens: ['token'] }, load)
}

async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

interface Asked {
  readonly type: string
  readonly requestId: string
  readonly payload: { readonly sessionId?: string }
}

/** A server that speaks as the service does; `answers` says how often it answers a command of that number. */
async function serve(answers: (request: string) => number): Promise<number> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => void server.close())
  let sessions = 0
  server.on('connection', (socket) => {
    socket.on('message', (data) => {
      const { type, requestId, payload } = JSON.parse(String(data)) as Asked
      const sessionId = payload.sessionId ?? `session_${++sessions}`
      const answer = JSON.stringify({ type: 'task_completed', eventId: '1-1', sessionId, requestId })
      const times = type === 'spawn_session' ? 1 : answers(requestId)
      for (let time = 0; time < times; time++) socket.send(answer)
    })
  })
  await new Promise((resolve) => server.once('listening', resolve))
  return (server.address() as AddressInfo).port
}

describe.each(runners)('by $name', (runner) => {
  test.for(['smoke.js', 'stream.js', 'storm.js'] as const)(
    '%s fails when nobody listens, and says that the cluster is not ready',
    { timeout: TIMEOUT_MS },
    async (script) => {
      const running = run(runner, script, await closedPort(), { rate: 10, seconds: 1 })
      await expect(running).rejects.toThrow(/the cluster is not ready: ws:\S+ takes no connection/)
    },
  )

  test('a cluster that answers nothing is not ready either', { timeout: TIMEOUT_MS }, async () => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    const running = run(runner, 'smoke.js', port, { rate: 10, seconds: 1 })
    await expect(running).rejects.toThrow(/the cluster is not ready: ws:\S+ gave no answer within/)
  })

  test('every command that is answered once counts, and nothing is wrong', { timeout: TIMEOUT_MS }, async () => {
    const { summary, faults, timeline } = await run(runner, 'smoke.js', await serve(() => 1), { rate: 100, seconds: 2 })

    expect(faults).toEqual([])
    expect(summary.counts).toMatchObject({ sent: 200, answered: 200, unanswered: 0, doubled: 0, disordered: 0 })
    expect(timeline.reduce((sum, { counts }) => sum + (counts.answered ?? 0), 0)).toBe(200)
  })

  test('an answer that comes twice is a fault', { timeout: TIMEOUT_MS }, async () => {
    const port = await serve((request) => (request.endsWith('1') ? 2 : 1))
    const { faults } = await run(runner, 'smoke.js', port, { rate: 100, seconds: 2 })

    expect(faults.join()).toMatch(/^k6: \d+ answers came twice$/)
  })
})

test('what several virtual users say of one second is added up, and the worse latency counts', () => {
  const timeline = new Timeline()

  expect(timeline.read('@second {"second":2,"answered":5,"p50":1,"p99":7}')).toBe(true)
  expect(timeline.read('@second {"second":1,"answered":3}')).toBe(true)
  expect(timeline.read('@second {"second":2,"answered":6,"p50":2,"p99":4}')).toBe(true)
  expect(timeline.read('something else')).toBe(false)

  expect(timeline.points).toEqual([
    { second: 1, counts: { answered: 3 }, p50: undefined, p99: undefined },
    { second: 2, counts: { answered: 11 }, p50: 2, p99: 7 },
  ])
})
