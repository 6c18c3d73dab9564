/**
 * Words count by what they cover of the question, and meanings by what words leave open.
 */
import { expect, test } from 'vitest'
import { fuse, fuseByCoverage } from '../../../src/memory/fusion.js'

const many = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name}${n}`)
const hits = (ids: readonly string[]) => ids.map((id) => ({ id, validFrom: new Date(0) }))

function fused(words: readonly string[], coverage: number, meanings: readonly string[]): readonly string[] {
  const covered = hits(words).map((hit) => ({ ...hit, coverage }))
  const all = fuseByCoverage({ hits: covered, weight: 0.6 }, { hits: hits(meanings), weight: 0.4 })
  for (const { score } of all) expect(score >= 0 && score <= 1).toBe(true)
  return all.map(({ id }) => id)
}

test('where a text has all of the question, the order is that of the words, whatever both have', () => {
  const words = many('w', 50)

  expect(fused(words, 1, [...words.toReversed(), 'm'])).toEqual([...words, 'm'])
})

test('a longer text behind the answer that has more of the question does not take its place', () => {
  const words = [...many('w', 9), 'answer', ...many('longer', 5)]
  const covering = words.map((id) => ({ id, validFrom: new Date(0), coverage: id.startsWith('longer') ? 1 : 0.9 }))
  const order = fuseByCoverage({ hits: covering, weight: 0.6 }, { hits: hits(['longer0', 'm']), weight: 0.4 })

  expect(order.slice(0, 10).map(({ id }) => id)).toEqual(words.slice(0, 10))
})

test('where no text has anything of the question, the order is that of the meanings', () => {
  expect(fused([], 0, ['a', 'b'])).toEqual(['a', 'b'])
  expect(fused(['w'], 0, ['a', 'b'])).toEqual(['a', 'b', 'w'])
})

test('where a text has little of the question, meanings come first, and what both have before them', () => {
  const order = fused(['w0', 'both', ...many('more', 20)], 0.2, ['m0', 'both', 'm1'])

  expect(order.slice(0, 3)).toEqual(['both', 'm0', 'm1'])
})

test('an answer that words alone found is not pushed out by texts that both found and that have little of the question', () => {
  const weak = many('weak', 40)
  const words = [{ id: 'answer', coverage: 0.6 }, ...weak.map((id) => ({ id, coverage: 0.3 }))]
  const meanings = { hits: hits(weak.toReversed()), weight: 0.4 }
  const covering = words.map((hit) => ({ ...hit, validFrom: new Date(0) }))
  const first = (all: readonly { readonly id: string }[]) => all.slice(0, 10).map(({ id }) => id)

  expect(first(fuseByCoverage({ hits: covering, weight: 0.6 }, meanings))).toContain('answer')
  // Reciprocal ranks alone do just that.
  expect(first(fuse([{ hits: covering, weight: 0.6 }, meanings]))).not.toContain('answer')
})

test('the first of everything that counts has the score 1', () => {
  const [first] = fuseByCoverage(
    { hits: [{ id: 'a', validFrom: new Date(0), coverage: 1 }], weight: 0.6 },
    { hits: hits(['b']), weight: 0.4 },
  )

  expect(first).toEqual({ id: 'a', score: 1 })
})
