/**
 * What happened is summed up by a model in a program's memory, and can be looked up all the same.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { MemoryManager } from '../../src/index.js'
import { openDatabase } from '../../src/storage/database.js'
import { createServerDatabase } from '../support/databases.js'

/** Answers each call with what `answer` makes of the question, over OpenAI's API. */
async function startModel() {
  const asked: string[] = []
  const model = { asked, answer: (_question: string): string | undefined => '<summary>summed up</summary>', url: '' }
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    const { messages } = JSON.parse(body) as { messages: { content: string }[] }
    const question = messages.at(-1)?.content ?? ''
    asked.push(question)
    const answer = model.answer(question)
    if (answer === undefined) return void response.writeHead(401).end('{"error":{"message":"who are you"}}')
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const chunk = (choice: object) =>
      response.write(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [choice] })}\n\n`)
    chunk({ index: 0, delta: { content: answer }, finish_reason: null })
    chunk({ index: 0, delta: {}, finish_reason: 'stop' })
    response.end('data: [DONE]\n\n')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  model.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  return Object.assign(model, { stop: () => server.close() })
}

let model: Awaited<ReturnType<typeof startModel>>
let server: Awaited<ReturnType<typeof createServerDatabase>>
let memory: MemoryManager
let tenants = 0
beforeAll(async () => {
  server = await createServerDatabase()
})
afterAll(() => server.remove())
beforeEach(async () => {
  model = await startModel()
  const summaries = { provider: 'openai', model: 'summing', apiKey: 'k', baseUrl: model.url } as const
  memory = new MemoryManager({ databaseUrl: server.url, tenant: `t${++tenants}`, summaries })
})
afterEach(async () => {
  await memory.close()
  model.stop()
})

const at = (minute: number): string => new Date(Date.now() - 3_600_000 + minute * 60_000).toISOString()

const remember = (many: number) =>
  memory.batchUpsert(
    Array.from({ length: many }, (_, n) => ({
      ...({ content: `step ${n} of the journey`, tier: 'episodic', type: 'interaction', timestamp: at(n) } as const),
      ...{ sessionId: `s${n % 2}`, metadata: { role: n % 2 === 0 ? 'user' : 'assistant' } },
    })),
  )

test('all but the newest is summed up once, and a summary names what it was made of', async () => {
  const ids = await remember(50)

  const { summaries, forgotten } = await memory.runCompaction()

  expect({ summaries: summaries.length, forgotten }).toEqual({ summaries: 1, forgotten: 0 })
  const [id = ''] = summaries
  const last = await memory.getEntryById(ids[29] ?? '')
  expect(await memory.getEntryById(id)).toMatchObject({
    ...{ content: 'summed up', tier: 'semantic', type: 'knowledge', timestamp: last?.timestamp },
  })
  expect((await memory.originalsOf(id)).map((entry) => entry.id)).toEqual(ids.slice(0, 30))
  expect(model.asked[0]).toContain('[1] USER: ')
  expect(model.asked[0]).toContain('step 29 of the journey')
  expect(model.asked[0]).not.toContain('step 30 of the journey')
  expect(await memory.runCompaction()).toEqual({ summaries: [], forgotten: 0 })
  expect(model.asked).toHaveLength(1)
})

test('facts in it become knowledge that names the entries they come from, and the later one of a key is true', async () => {
  const ids = await remember(45)
  const fact = (value: string, message: number) => ({ key: 'home port', fact: value, messages: [message] })
  const facts = JSON.stringify([fact('the ship is at home in Oslo', 9), fact('the ship is at home in Bergen', 3)])
  model.answer = () => `<summary>a journey</summary><facts>${facts}</facts>`

  await memory.runCompaction()

  const [found, ...others] = await memory.hybridSearch('where is the ship at home', { tiers: ['semantic'] })
  expect(others).toEqual([])
  expect(found).toMatchObject({ key: 'home port', content: 'the ship is at home in Oslo' })
  expect((await memory.originalsOf(found?.id ?? '')).map((entry) => entry.id)).toEqual([ids[8]])
})

test('what was summed up is still there when its own time is over', async () => {
  const ids = await remember(40)
  const { summaries } = await memory.runCompaction()
  const database = await openDatabase({ kind: 'postgres', url: server.url, poolSize: 1, connectTimeoutMs: 5_000 })
  await sql`
    update memory_items set expires_at = expires_at - interval '8 days' where tenant = ${`t${tenants}`}`.execute(
    database.sql,
  )
  await database.close()

  // The newest twenty were no part of it, and their seven days are over.
  expect(await memory.runCompaction()).toEqual({ summaries: [], forgotten: 20 })
  expect((await memory.originalsOf(summaries[0] ?? '')).map((entry) => entry.id)).toEqual(ids.slice(0, 20))
})

test('a vendor that fails leaves everything as it was, and the next run makes up for it', async () => {
  await remember(60)
  model.answer = () => undefined
  await expect(memory.runCompaction()).rejects.toMatchObject({ code: 'model_auth' })
  expect(await memory.getStats()).toMatchObject({ episodic: { entries: 60 }, semantic: { entries: 0 } })

  model.answer = () => 'no form at all'
  const { summaries } = await memory.runCompaction()
  expect(await memory.getEntryById(summaries[0] ?? '')).toMatchObject({ content: 'no form at all' })
  expect(await memory.originalsOf(summaries[0] ?? '')).toHaveLength(40)
})

test('a few entries are not worth a call', async () => {
  await remember(39)

  expect(await memory.runCompaction()).toEqual({ summaries: [], forgotten: 0 })
  expect(model.asked).toEqual([])
})
