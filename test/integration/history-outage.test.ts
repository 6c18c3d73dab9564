/**
 * The store goes away while a turn reads the history of its session.
 */
import { expect, test } from 'vitest'
import type { SessionLog } from '../../src/bus/bus.js'
import type { ModelMessage } from '../../src/models/model.js'
import type { Runtime } from '../../src/runtimes/runtime.js'
import { WorkerCluster } from '../support/worker-cluster.js'

/** How often it is asked in vain before it is back. */
const REFUSALS = 4

/** Says something, and notes what it was told of the conversation before. */
class Talker implements Runtime {
  readonly told: (readonly ModelMessage[])[] = []

  run: Runtime['run'] = async ({ progress, journal }) => {
    this.told.push(progress.messages)
    await journal.messageStarted('none')
    const usage = { promptTokens: 1, completionTokens: 1 }
    await journal.messageEnded({ toolCalls: [], finishReason: 'stop', usage, cost: 0 })
    return { output: `answer ${this.told.length}` }
  }
}

test('a turn waits for a store that is away while it reads its history, and has all of it then', async () => {
  const talker = new Talker()
  let toRefuse = 0
  const cluster = await WorkerCluster.start({
    runtimeOf: () => talker,
    workerBus: (bus) => ({
      ...{ commands: bus.commands, outboxes: bus.outboxes, timers: bus.timers },
      ping: () => bus.ping(),
      stop: () => bus.stop(),
      log: new Proxy(bus.log, {
        get(target, name) {
          const value = Reflect.get(target, name, target) as unknown
          if (name !== 'events') return typeof value === 'function' ? value.bind(target) : value
          return async (...args: Parameters<SessionLog['events']>) => {
            if (toRefuse > 0) {
              toRefuse -= 1
              throw new Error('Connection is closed.')
            }
            return target.events(...args)
          }
        },
      }),
    }),
  })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'first' })
  await session.event('task_completed')
  await cluster.takeOver('worker-2')
  toRefuse = REFUSALS
  await session.execute({ description: 'second' })

  const done = await session.event('task_completed', 1)

  expect(done.result.output).toBe('answer 2')
  expect(toRefuse).toBe(0)
  expect(talker.told[1]?.map(({ role }) => role)).toEqual(['user', 'assistant', 'user'])
  expect(session.events.some(({ type }) => type === 'task_failed')).toBe(false)
})
