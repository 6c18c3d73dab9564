/**
 * Items of memory: what takes whose place, who sees what, and what is forgotten.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import { newSessionId } from '../../../src/protocol/ids.js'
import { memoryIdentity } from '../../../src/storage/memory-identity.js'
import type { NewMemory } from '../../../src/storage/memory-item.js'
import { MemoryItems } from '../../../src/storage/memory-items.js'
import { MemoryRetention } from '../../../src/storage/memory-retention.js'
import { MemorySearch } from '../../../src/storage/memory-search.js'
import { eachDatabase } from '../../support/databases.js'

const AT = Date.parse('2026-11-01T00:00:00Z')
const minute = (n: number): Date => new Date(AT + n * 60_000)
const BOTH = { tiers: ['episodic', 'semantic'] } as const

function fact(content: string, more: Partial<NewMemory> = {}): NewMemory {
  const place = { tier: 'semantic', namespace: 'default', key: more.key, content } as const
  return {
    ...place,
    kind: 'knowledge',
    identity: memoryIdentity({ ...place, ...more }),
    orchestratorId: 'main',
    validFrom: minute(0),
    ...more,
  }
}

eachDatabase((open) => {
  let items: MemoryItems
  let retention: MemoryRetention
  let search: MemorySearch
  let scope: { readonly tenant: string; readonly owner: string }
  let scopes = 0
  beforeEach(async () => {
    const database = await open()
    items = new MemoryItems(database)
    retention = new MemoryRetention(database)
    search = new MemorySearch(database)
    scope = { tenant: `t${++scopes}`, owner: 'ann' }
  })

  const found = async (query: string, filter: Parameters<MemorySearch['byWords']>[2] = BOTH, whose = scope) => {
    const hits = await search.byWords(whose, query, filter, 10)
    const rows = await items.list(
      whose,
      hits.map(({ id }) => id),
    )
    return hits.map(({ id }) => rows.find((row) => row.id === id)?.content)
  }

  describe('what is kept', () => {
    test('the same note twice is one note', async () => {
      const [first] = await items.put(scope, [fact('the sky is blue')])
      const [again] = await items.put(scope, [fact('the sky is blue')])

      expect(again).toEqual({ id: first?.id, replaced: [], isNew: false })
      expect(await items.totals(scope)).toMatchObject([{ tier: 'semantic', items: 1, bytes: 15 }])
    })

    test('a later fact of a key takes the place of the former one, which ended when the later one began', async () => {
      const [old] = await items.put(scope, [fact('deploys go to Berlin', { key: 'deploy target' })])
      const [now] = await items.put(scope, [fact('deploys go to Oslo', { key: 'deploy target', validFrom: minute(5) })])

      expect(now?.replaced).toEqual([old?.id])
      const { identity } = fact('', { key: 'deploy target' })
      expect(await items.findCurrent(scope, identity)).toMatchObject({ content: 'deploys go to Oslo', validTo: null })
      expect(await items.former(scope, identity, 5)).toMatchObject([
        { content: 'deploys go to Berlin', validFrom: minute(0), validTo: minute(5) },
      ])
      expect(await found('where do deploys go')).toEqual(['deploys go to Oslo'])
    })

    test('a fact that was true before and is heard of later does not end what is true now', async () => {
      await items.put(scope, [fact('the port is 1', { key: 'port', validFrom: minute(9) })])
      const [late] = await items.put(scope, [fact('the port was 2', { key: 'port', validFrom: minute(3) })])

      expect(late?.replaced).toEqual([])
      expect(await found('port')).toEqual(['the port is 1'])
      expect(await items.former(scope, fact('', { key: 'port' }).identity, 5)).toMatchObject([{ validTo: minute(9) }])
    })

    test('within one batch the last one of a key is what is true', async () => {
      await items.put(
        scope,
        ['a', 'b', 'c'].map((value, at) => fact(`value ${value}`, { key: 'k', validFrom: minute(at) })),
      )

      expect(await found('value')).toEqual(['value c'])
      expect(await items.former(scope, fact('', { key: 'k' }).identity, 5)).toHaveLength(2)
    })

    test('of many writers of one key at once exactly one is left', async () => {
      const writers = Array.from({ length: 12 }, (_, n) => items.put(scope, [fact(`writer ${n}`, { key: 'who' })]))
      await Promise.all(writers)

      expect(await found('writer')).toHaveLength(1)
      expect(await items.former(scope, fact('', { key: 'who' }).identity, 50)).toHaveLength(11)
    })

    test('text that no column can hold as it is is kept all the same', async () => {
      const odd = fact('nul \0 and half \ud800 a pair', { key: 'k\0', tags: ['\0', 'x'], metadata: { a: '\0' } })
      const [kept] = await items.put(scope, [odd])

      expect(await items.find(scope, kept?.id ?? '')).toMatchObject({ key: 'k\ufffd', tags: ['\ufffd', 'x'] })
      expect(await found('pair')).toHaveLength(1)
    })

    test('an item names its sources, and finds the events of steps that others have named', async () => {
      const sessionId = newSessionId(0)
      const source = { sessionId, ref: 'message:m1', epoch: 3, seq: 7 }
      await items.put(scope, [fact('was said', { sources: [source] })])
      const [kept] = await items.put(scope, [
        fact('follows', {
          sources: [
            { sessionId, ref: 'message:m1' },
            { sessionId, ref: 'call:gone' },
          ],
        }),
      ])

      expect(await items.sourcesOf(scope, kept?.id ?? '')).toEqual([source, { sessionId, ref: 'call:gone' }])
    })
  })

  describe('who sees what', () => {
    test.each([
      ['another tenant', { tenant: 'elsewhere', owner: 'ann' }],
      ['another owner', { tenant: 't', owner: 'bob' }],
    ])('%s finds, reads and forgets nothing of it', async (_who, other) => {
      const stranger = { ...other, tenant: other.tenant === 't' ? scope.tenant : other.tenant }
      const [kept] = await items.put(scope, [fact('the secret is plum', { key: 'secret' })])
      const id = kept?.id ?? ''

      expect(await found('secret plum', BOTH, stranger)).toEqual([])
      expect(await items.find(stranger, id)).toBeUndefined()
      expect(await items.findCurrent(stranger, fact('', { key: 'secret' }).identity)).toBeUndefined()
      expect(await items.sourcesOf(stranger, id)).toEqual([])
      expect(await items.forget(stranger, { id })).toBe(0)
      expect(await items.put(stranger, [fact('the secret is pear', { key: 'secret' })])).toMatchObject([
        { replaced: [] },
      ])
      expect(await found('secret')).toEqual(['the secret is plum'])
    })
  })

  describe('what is forgotten', () => {
    test('M-01, M-07: what is over is found no more, and removed', async () => {
      await items.put(scope, [fact('short lived', { expiresAt: new Date(Date.now() - 1) }), fact('long lived')])

      expect(await found('lived')).toEqual(['long lived'])
      while ((await retention.purgeExpired(1)) > 0);
      expect(await items.totals(scope)).toMatchObject([{ items: 1 }])
    })

    test('forgetting a place forgets what stood there before', async () => {
      await items.put(scope, [fact('one', { key: 'k' })])
      await items.put(scope, [fact('two', { key: 'k', validFrom: minute(1) })])

      expect(await items.forget(scope, { identity: fact('', { key: 'k' }).identity })).toBe(2)
    })

    test('M-01: beyond its size a memory loses former facts first, then its oldest, and nobody else loses anything', async () => {
      const big = (n: number) => `${n} ${'x'.repeat(98)}`
      const other = { ...scope, owner: 'bob' }
      await items.put(other, [fact(big(0))])
      await items.put(scope, [fact(big(1)), fact(big(2), { validFrom: minute(1) })])
      await items.put(scope, [fact(big(3), { key: 'k', validFrom: minute(2) })])
      await items.put(scope, [fact(big(4), { key: 'k', validFrom: minute(3) })])

      expect(await retention.purgeBeyond('semantic', 200, 10)).toBe(2)
      expect((await items.newest(scope, 'semantic', 10)).map(({ content }) => content[0])).toEqual(['4', '2'])
      expect(await items.former(scope, fact('', { key: 'k' }).identity, 5)).toEqual([])
      expect(await items.newest(other, 'semantic', 10)).toHaveLength(1)
      expect(await retention.purgeBeyond('semantic', 200, 10)).toBe(0)
    })
  })

  describe('what is found', () => {
    test('M-06: a rare word counts for more than a frequent one', async () => {
      const chatter = Array.from({ length: 30 }, (_, n) => fact(`the report of week ${n} is about the budget report`))
      await items.put(scope, [...chatter, fact('the zeppelin is in the report')])

      expect((await found('budget report on the zeppelin'))[0]).toBe('the zeppelin is in the report')
    })

    test.each([
      ['another form of the word', 'who is repairing bicycles', 'Jonas repaired my bicycle'],
      ['a name in code by its parts', 'user id', 'call getUserID first'],
      ['a path by a part of it', 'toolbox', 'see src/runtimes/tools/toolbox.ts'],
      ['words without their accents in another case', 'MALMÖ', 'the office is in Malmö'],
      ['a question of stop words alone', 'who is it', 'it is who it is'],
      ['words of another script', '会議', 'the word 会議 means meeting'],
    ])('%s', async (_name, query, content) => {
      await items.put(scope, [fact(content), fact('nothing of the kind'), fact('entirely other matters')])

      expect((await found(query))[0]).toBe(content)
    })

    test('quoted words stand together, and a word with a minus does not occur', async () => {
      await items.put(scope, [fact('red hot iron'), fact('hot and red'), fact('red hot chili')])

      expect((await found('"red hot"')).sort()).toEqual(['red hot chili', 'red hot iron'])
      expect(await found('"red hot" -chili')).toEqual(['red hot iron'])
    })

    test('where nothing else tells them apart the newer comes first', async () => {
      await items.put(scope, [
        fact('apples are old', { validFrom: minute(1) }),
        fact('apples are new', { validFrom: minute(2) }),
      ])

      expect(await found('apples')).toEqual(['apples are new', 'apples are old'])
    })

    test('only what the filter lets pass', async () => {
      const sessionId = newSessionId(0)
      await items.put(scope, [
        fact('plum one', { namespace: 'a' }),
        fact('plum two', { tier: 'episodic', sessionId, identity: 'x' }),
      ])

      expect(await found('plum', { tiers: ['semantic'] })).toEqual(['plum one'])
      expect(await found('plum', { ...BOTH, namespace: 'a' })).toEqual(['plum one'])
      expect(await found('plum', { ...BOTH, sessionId })).toEqual(['plum two'])
      expect(await found('plum', { ...BOTH, exceptSessionId: sessionId })).toEqual(['plum one'])
    })

    test.each(['', '  ', '"', '-', "'; drop table memory_items", '\\', "a'b | c & !d", '\0', 'x'.repeat(3_000)])(
      'any question is answered: %j',
      async (query) => {
        await items.put(scope, [fact('something')])
        expect(await found(query)).toEqual([])
      },
    )
  })
})
