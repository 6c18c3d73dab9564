/**
 * Memory profiles (row W-10): sessions of one profile remember together, and apart from those of another.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { Memory } from '../../../src/memory/memory.js'
import { MemoryItems } from '../../../src/storage/memory-items.js'
import { MemorySearch } from '../../../src/storage/memory-search.js'
import { eachDatabase } from '../../support/databases.js'

const OWNER = { tenant: 'acme', owner: 'ann', orchestratorId: 'main' }
const [TRIPS, TAXES] = [
  { ...OWNER, sessionId: 's-1', memoryProfile: 'trips' },
  { ...OWNER, sessionId: 's-2', memoryProfile: 'taxes' },
]

eachDatabase((open) => {
  let memory: Memory
  beforeEach(async () => {
    const database = await open()
    await sql`delete from memory_items`.execute(database.sql)
    memory = new Memory({
      items: new MemoryItems(database),
      search: new MemorySearch(database),
      now: () => new Date(),
      patiently: (ask) => ask(),
    })
  })
  const found = async (holder: Parameters<Memory['search']>[0], question: object = {}) =>
    (await memory.search(holder, { query: 'deadline', ...question })).map(({ content }) => content).sort()

  test('a session recalls what was noted under its profile, and one without a profile everything', async () => {
    await memory.store(TRIPS, { content: 'deadline of the visa', key: 'deadline' })
    await memory.store(TAXES, { content: 'deadline of the return', key: 'deadline' })

    expect(await found({ ...TRIPS, sessionId: 's-3' })).toEqual(['deadline of the visa'])
    expect(await found(TAXES)).toEqual(['deadline of the return'])
    expect(await found(OWNER)).toEqual(['deadline of the return', 'deadline of the visa'])
    expect(await memory.find(TRIPS, { key: 'deadline' })).toMatchObject({ content: 'deadline of the visa' })
  })

  test('a note may name another place, and be asked for there', async () => {
    await memory.store(TRIPS, { content: 'deadline for all', namespace: 'shared' })

    expect(await found(TRIPS)).toEqual([])
    expect(await found(TAXES, { namespace: 'shared' })).toEqual(['deadline for all'])
  })

  test('notes of one session are found by it, whatever its profile', async () => {
    await memory.store(TRIPS, { content: 'deadline of now', tier: 'scratchpad' })

    expect(await found(TRIPS, { tiers: ['scratchpad'], sessionId: 's-1' })).toEqual(['deadline of now'])
  })

  test('forgetting under a profile leaves the other one alone', async () => {
    await memory.store(TRIPS, { content: 'deadline of the visa', key: 'deadline' })
    await memory.store(TAXES, { content: 'deadline of the return', key: 'deadline' })

    expect(await memory.forget(TRIPS, { key: 'deadline' })).toBe(1)

    expect(await found(OWNER)).toEqual(['deadline of the return'])
  })
})
