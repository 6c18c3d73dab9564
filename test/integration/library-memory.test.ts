/**
 * Memory for a program.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import {
  type EmbeddingServer,
  HASHING_DIMENSIONS,
  HASHING_MODEL,
  startEmbeddingServer,
  vectorOf,
} from '../../loadtest/recall/embedding-server.js'
import { MemoryManager } from '../../src/index.js'
import { createServerDatabase } from '../support/databases.js'

let embeddings: EmbeddingServer
let server: Awaited<ReturnType<typeof createServerDatabase>>
let builtIn: MemoryManager
let onServer: MemoryManager
beforeAll(async () => {
  embeddings = await startEmbeddingServer()
  server = await createServerDatabase()
  const space = { model: HASHING_MODEL, dimensions: HASHING_DIMENSIONS, baseUrl: embeddings.url }
  builtIn = new MemoryManager({ embeddings: space })
  onServer = new MemoryManager({ databaseUrl: server.url, embeddings: space })
})
afterAll(async () => {
  await builtIn.close()
  await onServer.close()
  await server.remove()
  await embeddings.close()
})

const KINDS = [
  ['the built-in database', () => builtIn],
  ['a server', () => onServer],
] as const

test.each(KINDS)('%s: notes of a session are its own, replaced by key, and cleared', async (_where, manager) => {
  const memory = manager()
  await memory.storeScratchpad('s1', 'plan', { steps: [1] })
  await memory.storeScratchpad('s1', 'plan', { steps: [1, 2] })
  await memory.storeScratchpad('s1', 'mood', 'good')
  await memory.storeScratchpad('s2', 'plan', 'other')

  expect(await memory.retrieveScratchpad('s1', 'plan')).toEqual({ steps: [1, 2] })
  expect(await memory.retrieveScratchpad('s1')).toEqual({ plan: { steps: [1, 2] }, mood: 'good' })
  await memory.clearScratchpad('s1')
  expect(await memory.retrieveScratchpad('s1')).toEqual({})
  expect(await memory.retrieveScratchpad('s2', 'plan')).toBe('other')
})

test.each(KINDS)('M-03, P-04: %s: entries are added, found, read and deleted', async (_where, manager) => {
  const memory = manager()
  const id = await memory.addSemantic('The release train leaves on Thursdays', { metadata: { from: 'test' } })
  await memory.addEpisodic('We talked about trains')

  expect((await memory.hybridSearch('when does the release train leave', { tiers: ['semantic'] }))[0]).toMatchObject({
    ...{ id, type: 'knowledge', tier: 'semantic', metadata: { from: 'test' } },
    ...{ content: 'The release train leaves on Thursdays', timestamp: expect.any(String) },
  })
  expect((await memory.retrieve('trains', 'episodic')).map(({ content }) => content)).toEqual([
    'We talked about trains',
  ])
  expect((await memory.retrieve('', 'episodic')).length).toBeGreaterThan(0)
  expect(await memory.hybridSearch('release train', { minScore: 1 })).toHaveLength(1)
  expect(await memory.getEntryById(id)).toMatchObject({ content: 'The release train leaves on Thursdays' })
  expect(await memory.deleteEntry(id)).toBe(true)
  expect(await memory.deleteEntry(id)).toBe(false)
  expect(await memory.getEntryById(id)).toBeUndefined()
})

test('M-08: what was remembered in a folder is there for the next process that opens it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'memory-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const first = new MemoryManager({ directory })
  const id = await first.addSemantic('The release train leaves on Thursdays')
  await first.storeScratchpad('s1', 'plan', 'kept')
  await first.close()

  const next = new MemoryManager({ directory })
  onTestFinished(() => next.close())

  expect(await next.getEntryById(id)).toMatchObject({ content: 'The release train leaves on Thursdays' })
  expect(await next.retrieveScratchpad('s1', 'plan')).toBe('kept')
})

test.each(KINDS)('%s: a transcript is indexed turn by turn, once', async (_where, manager) => {
  const memory = manager()
  const turns = [1, 2, 3].map((turnNumber) => ({ turnNumber, role: 'user', content: `turn ${turnNumber} on walruses` }))

  expect(await memory.indexSessionTranscript('s9', turns.slice(0, 2))).toBe(2)
  expect(await memory.indexSessionTranscript('s9', turns)).toBe(1)
  expect(await memory.hybridSearch('walruses', { sessionId: 's9' })).toHaveLength(3)
})

test.each(KINDS)(
  'M-09, P-04: %s: a memory goes elsewhere as a snapshot, and a session as its context',
  async (_where, manager) => {
    const memory = manager()
    await memory.batchUpsert([
      { content: 'the moon is far', sessionId: 's5', tier: 'semantic' },
      { content: 'we looked at it', sessionId: 's5', tier: 'episodic', type: 'observation' },
    ])
    await memory.storeScratchpad('s5', 'k', 1)
    const other = new MemoryManager({ tenant: 'elsewhere' })
    const third = new MemoryManager({ tenant: 'third' })
    try {
      const snapshot = await memory.exportSnapshot()
      expect(await other.importSnapshot(snapshot)).toBe(snapshot.entries.length)
      expect((await other.hybridSearch('moon'))[0]).toMatchObject({ content: 'the moon is far', sessionId: 's5' })
      await third.importContext('s6', await memory.exportContext('s5'))
      const context = await third.exportContext('s6')
      expect(context.scratchpad).toEqual({ k: 1 })
      expect([...context.episodic, ...context.semantic].map(({ content }) => content).sort()).toEqual([
        'the moon is far',
        'we looked at it',
      ])
    } finally {
      await other.close()
      await third.close()
    }
  },
)

test('meaning is searched where the database can, and a server without pgvector says why not', async () => {
  const id = await builtIn.addSemantic('hydroponics')
  await builtIn.storeEmbedding(id, vectorOf('tomatoes'))

  const byMeaning = await builtIn.hybridSearch('xyz', { queryEmbedding: vectorOf('tomatoes'), maxResults: 1 })
  expect(byMeaning[0]).toMatchObject({ id })
  expect(await builtIn.getHealthReport()).toEqual({ healthy: true, hybrid: true, warnings: [] })
  const report = await onServer.getHealthReport()
  expect(report.hybrid === false).toBe(report.warnings.length === 1)
})

test('what is over is forgotten, and the rest counted', async () => {
  const memory = new MemoryManager({ tenant: 'counting' })
  await memory.batchUpsert([
    { content: 'soon gone', ttlMs: 1 },
    { content: 'four', tier: 'semantic' },
  ])
  await new Promise((resolve) => setTimeout(resolve, 5))

  expect(await memory.runCompaction()).toEqual({ summaries: [], forgotten: 1 })
  expect(await memory.getStats()).toMatchObject({ semantic: { entries: 1, bytes: 4 }, episodic: { entries: 0 } })
  await memory.close()
  await memory.close()
  await expect(memory.getStats()).rejects.toThrow('closed')
})
