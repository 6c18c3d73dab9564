/**
 * Settings of the context and of memory take effect: written as in the environment, seen by the model's vendor.
 */
import { afterAll, expect, vi } from 'vitest'
import { SUMMARY_PROMPT } from '../../src/runtimes/compaction-prompt.js'
import {
  effect,
  type Frame,
  PATIENCE,
  RawClient,
  refusingModel,
  settingsFolder,
  startWith,
} from '../support/settings-fixture.js'

const folder = settingsFolder()
afterAll(() => folder.remove())

const WORDS = 'word '.repeat(700)
const taskOf = (n: number) => ({ description: `task number ${n} ${WORDS}` })

interface Asked {
  readonly system: string
  readonly size: number
  readonly last: string
}

function askedOf({ messages }: Frame): Asked {
  const all = messages as readonly { readonly role: string; readonly content: string }[]
  return { system: all[0]?.content ?? '', size: JSON.stringify(all).length, last: all.at(-1)?.content ?? '' }
}

/** What the vendor is asked while a session gets `tasks` long tasks, one after the other, each of which it refuses. */
async function requestsOf(env: Readonly<Record<string, string>>, tasks: number): Promise<readonly Asked[]> {
  const vendor = await refusingModel()
  const running = await startWith(folder.path, { OPENAI_BASE_URL: `${vendor.url}/v1`, OPENAI_API_KEY: 'k', ...env })
  const client = await RawClient.connect(`ws://127.0.0.1:${running.daemon.port}`)
  try {
    client.send({ type: 'spawn_session', payload: { orchestratorId: 'o', task: taskOf(1), sessionType: 'llm' } })
    const failed = () => client.frames.filter(({ type }) => type === 'task_failed')
    for (let task = 1; ; task++) {
      await vi.waitUntil(() => failed().length === task, PATIENCE)
      if (task === tasks) break
      const { sessionId } = failed()[0] as Frame
      client.send({ type: 'execute_task', payload: { sessionId, task: taskOf(task + 1) } })
    }
    return vendor.requests.map(({ body }) => askedOf(body))
  } finally {
    client.close()
    await running.stop()
    vendor.stop()
  }
}

const summaries = (requests: readonly Asked[]) => requests.filter(({ system }) => system === SUMMARY_PROMPT).length

effect(['DAEMON_MAX_CONTEXT_TOKENS'], 'what is sent fits into it, and ends with the task', async () => {
  const env = { MEMORY_COMPACTION_ENABLED: 'false' }
  const wide = await requestsOf(env, 5)
  const narrow = await requestsOf({ ...env, DAEMON_MAX_CONTEXT_TOKENS: '4000' }, 5)

  expect(wide.at(-1)?.size).toBeGreaterThan(5 * WORDS.length)
  expect(narrow.at(-1)?.size).toBeLessThan(3.5 * WORDS.length)
  expect(narrow.at(-1)?.last).toContain('task number 5')
  expect(summaries(narrow)).toBe(0)
})

effect(
  ['MEMORY_COMPACTION_ENABLED', 'MEMORY_COMPACTION_THRESHOLD'],
  'a summary is asked for when it is that full',
  async () => {
    const env = { DAEMON_MAX_CONTEXT_TOKENS: '20000' }

    expect(summaries(await requestsOf({ ...env, MEMORY_COMPACTION_THRESHOLD: '0.9' }, 6))).toBe(0)
    expect(summaries(await requestsOf({ ...env, MEMORY_COMPACTION_THRESHOLD: '0.2' }, 6))).toBeGreaterThan(0)
  },
)
