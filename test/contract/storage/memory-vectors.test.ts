/**
 * Memory that is also searched by meaning: where pgvector is, and what remains where it is not.
 */
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type EmbeddingServer,
  HASHING_DIMENSIONS,
  HASHING_MODEL,
  startEmbeddingServer,
} from '../../../loadtest/recall/embedding-server.js'
import { openMemory } from '../../../src/assembly/memory-parts.js'
import { type Database, openDatabase } from '../../../src/storage/database.js'
import type { NewMemory } from '../../../src/storage/memory-item.js'
import { MemoryItems } from '../../../src/storage/memory-items.js'
import { MemoryVectors } from '../../../src/storage/memory-vectors.js'
import { migrate } from '../../../src/storage/migrate.js'
import { createLog } from '../../../src/telemetry/log.js'
import { createMetrics } from '../../../src/telemetry/metrics.js'
import { openServerDatabase, serverOffers } from '../../support/databases.js'
import { type SeededRandom, seededRandom } from '../../support/random.js'

const SPACE = { embeddingModel: HASHING_MODEL, embeddingDimensions: HASHING_DIMENSIONS }
const SETTINGS = { maxContextTokens: 128_000, compactionEnabled: true, compactionThreshold: 0.8, episodicDays: 7 }
const ANN = { tenant: 'acme', owner: 'ann' }

let server: EmbeddingServer
beforeAll(async () => {
  server = await startEmbeddingServer()
})
afterAll(() => server.close())

const onServer = await serverOffers('vector')
if (!onServer)
  console.warn('SKIPPED: the PostgreSQL server of this run has no pgvector; the built-in database stands in')

const KINDS = [
  {
    where: 'the built-in database',
    isHere: true,
    open: async () => {
      const database = await openDatabase({ kind: 'pglite', directory: undefined, vectors: true })
      await migrate(database)
      return { database, remove: () => database.close() }
    },
  },
  { where: 'PostgreSQL', isHere: onServer, open: openServerDatabase },
]

async function opened(on: Database, embeddingUrl: string | undefined) {
  const lines: string[] = []
  const output = { write: (line: string) => lines.push(line) }
  const log = createLog({ level: 'info', format: 'json', name: 't', role: 'all', output })
  const openai = { apiKey: undefined, model: 'm', organization: undefined, baseUrl: undefined }
  const config = { memory: { ...SETTINGS, ...SPACE, embeddingUrl }, openai }
  const metrics = createMetrics()
  const memory = await openMemory({ config, log, database: on, metrics: metrics.memory })
  return { ...memory, lines, metrics }
}

const embed = async (jobs: Awaited<ReturnType<typeof opened>>['jobs']) =>
  jobs()
    .find(({ name }) => name === 'embed')
    ?.run(new AbortController().signal)

const itemOf = (content: string): NewMemory => ({
  ...{ tier: 'semantic', kind: 'knowledge', namespace: 'default', content, identity: content, orchestratorId: 'main' },
  validFrom: new Date(),
})

function vectorNear(random: SeededRandom, centre: readonly number[] | undefined, dimensions: number): number[] {
  return Array.from({ length: dimensions }, (_, n) => (centre?.[n] ?? 0) + random.next() - 0.5)
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = a.reduce((sum, value, n) => sum + value * (b[n] ?? 0), 0)
  return dot / Math.hypot(...a) / Math.hypot(...b)
}

describe.each(KINDS)('$where', ({ isHere, open }) => {
  if (!isHere) return test.skip('the server has no pgvector')
  let database: Database
  let close: () => Promise<void>
  beforeAll(async () => {
    const opened = await open()
    database = opened.database
    close = opened.remove
  })
  afterAll(() => close())

  test('M-06: a word that nobody wrote is found by its likeness, and by nobody else', async () => {
    const { memory } = await opened(database, server.url)
    await memory.store(ANN, { content: 'the authentication of operators is broken' })
    await memory.store({ ...ANN, owner: 'bob' }, { content: 'authenticating is what bob does' })

    expect(memory.isHybrid).toBe(true)
    const found = await memory.search(ANN, { query: 'authenticator' })
    expect(found.map(({ content }) => content)).toEqual(['the authentication of operators is broken'])
  })

  test('what was kept while the model was away gets its vector afterwards', async () => {
    const away = await opened(database, 'http://127.0.0.1:9/v1')
    const { id } = await away.memory.store(ANN, { content: 'photosynthesis of ferns' })
    expect(await away.memory.search(ANN, { query: 'photosynthetic' })).toEqual([])
    expect((await away.memory.search(ANN, { query: 'ferns' })).map((found) => found.id)).toEqual([id])
    expect(away.lines.some((line) => line.includes('no vector could be had'))).toBe(true)

    const back = await opened(database, server.url)
    await embed(back.jobs)
    expect((await back.memory.search(ANN, { query: 'photosynthetic' }))[0]?.id).toBe(id)
  })

  test('vectors of what is forgotten go as well', async () => {
    const { memory, jobs } = await opened(database, server.url)
    const { id } = await memory.store(ANN, { content: 'xylophones are heavy' })
    await memory.forget(ANN, { id })

    expect((await memory.search(ANN, { query: 'xylophonist' })).map((found) => found.id)).not.toContain(id)
    await jobs()
      .find(({ name }) => name === 'forget')
      ?.run(new AbortController().signal)
    const { rows } = await sql`select from memory_vectors where item_id = ${id}`.execute(database.sql)
    expect(rows).toEqual([])
  })

  test('a filter that lets few pass is given more to choose from', async () => {
    const { memory } = await opened(database, server.url)
    const holder = { ...ANN, owner: 'filter' }
    const many = Array.from({ length: 250 }, (_, n) => ({
      content: `mountaineering report ${n}`,
      tier: 'episodic' as const,
    }))
    await memory.storeAll(holder, many)
    const { id } = await memory.store(holder, { content: 'mountaineers like tea' })

    const found = await memory.search(holder, { query: 'mountaineerish', tiers: ['semantic'] })
    expect(found.map((hit) => hit.id)).toEqual([id])
  })

  test.each([
    { which: 'few vectors, all looked at', dimensions: 64, many: 400, exactUpTo: 400, atLeast: 20 },
    { which: 'more, by their index', dimensions: 64, many: 400, exactUpTo: 399, atLeast: 18 },
    { which: 'half the digits', dimensions: 2_100, many: 40, exactUpTo: 0, atLeast: 18 },
  ])("$which: the nearest are found, and nobody else's", async ({ dimensions, many, exactUpTo, atLeast }) => {
    const random = seededRandom('vectors')
    const space = { model: `random-${dimensions}-${exactUpTo}`, dimensions }
    const vectors = await MemoryVectors.open(database, space, exactUpTo)
    if (typeof vectors === 'string') throw new Error(vectors)
    const near = Array.from({ length: 5 }, () => vectorNear(random, undefined, dimensions))
    const owners = ['one', 'two'].map((owner) => ({ tenant: space.model, owner }))
    const kept = new Map<string, readonly number[]>()
    for (const scope of owners) {
      const made = Array.from({ length: many }, (_, n) => vectorNear(random, near[n % near.length], dimensions))
      const items = await new MemoryItems(database).put(
        scope,
        made.map((_, n) => itemOf(`${scope.owner} ${n}`)),
      )
      const put = items.map(({ id }, n) => ({ id, vector: made[n] ?? [] }))
      await vectors.put(scope, put)
      if (scope === owners[0]) for (const { id, vector } of put) kept.set(id, vector)
    }
    await sql`analyze memory_vectors`.execute(database.sql)

    const asked = vectorNear(random, near[0], dimensions)
    const hits = await vectors.nearest(owners[0] ?? ANN, asked, { tiers: ['semantic'] }, 20)

    const exact = [...kept].sort(([, a], [, b]) => cosine(b, asked) - cosine(a, asked)).slice(0, 20)
    expect(hits).toHaveLength(20)
    expect(hits.every(({ id }) => kept.has(id))).toBe(true)
    expect(exact.filter(([id]) => hits.some((hit) => hit.id === id)).length).toBeGreaterThanOrEqual(atLeast)
    expect(hits[0]?.score).toBeCloseTo(cosine(kept.get(hits[0]?.id ?? '') ?? [], asked), 2)
    const { rows } = await sql<{ definition: string }>`
      select indexdef as definition from pg_indexes
      where tablename = 'memory_vectors' and indexdef like ${`%${space.model}%`}`.execute(database.sql)
    expect(rows.map(({ definition }) => definition)).toEqual([
      expect.stringMatching(dimensions > 2_000 ? /hnsw .*halfvec\(2100\).* halfvec_cosine_ops/ : /hnsw .*vector\(64\)/),
    ])
  })
})

test.skipIf(onServer)('a database without pgvector is searched by words, and says so', async () => {
  const { database: plain, remove } = await openServerDatabase()
  try {
    const { memory, lines, metrics, jobs } = await opened(plain, server.url)
    await memory.store(ANN, { content: 'words are enough' })

    expect(memory.isHybrid).toBe(false)
    expect((await memory.search(ANN, { query: 'words' })).map(({ score }) => score)).toEqual([1])
    expect(lines.some((line) => line.includes('searched by words only'))).toBe(true)
    expect(jobs().map(({ name }) => name)).toEqual(['forget'])
    await jobs()[0]?.run(new AbortController().signal)
    const { body } = await metrics.page()
    expect(body).toMatch(/wundr_memory_entries_total\{tier="semantic",orchestrator_id="default"\} 1/)
    expect(body).toMatch(/wundr_memory_bytes\{tier="semantic"\} 16/)
    expect(body).toMatch(/wundr_memory_searches_total\{orchestrator_id="default"\} 1/)
    expect(body).toMatch(/wundr_memory_cache_misses_total\{tier="all"\} 1/)
  } finally {
    await remove()
  }
})
