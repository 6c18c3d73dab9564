/**
 * Several rankings made one.
 */
import { expect, test } from 'vitest'
import { fuse } from '../../../src/memory/fusion.js'

const hits = (...ids: string[]) => ids.map((id) => ({ id, validFrom: new Date(0) }))
const order = (fused: readonly { readonly id: string }[]) => fused.map(({ id }) => id)

test('one ranking keeps its order, and its first has the score 1', () => {
  const fused = fuse([{ hits: hits('a', 'b', 'c'), weight: 0.6 }])

  expect(order(fused)).toEqual(['a', 'b', 'c'])
  expect(fused[0]?.score).toBe(1)
  expect(fused[1]?.score).toBeCloseTo(61 / 62)
})

test('what both rankings have comes before what is first in one', () => {
  const fused = fuse([
    { hits: hits('words', 'both'), weight: 1 },
    { hits: hits('meaning', 'both'), weight: 1 },
  ])

  expect(order(fused)[0]).toBe('both')
  expect(fused.every(({ score }) => score > 0 && score <= 1)).toBe(true)
})

test('the first ten of the heavier ranking are among the first ten whatever the lighter one says alone', () => {
  const words = Array.from({ length: 10 }, (_, n) => `w${n}`)
  const meanings = Array.from({ length: 50 }, (_, n) => `m${n}`)
  const fused = fuse([
    { hits: hits(...words), weight: 0.6 },
    { hits: hits(...meanings), weight: 0.4 },
  ])

  expect(order(fused).slice(0, 10)).toEqual(words)
})

test('the newer one comes first where two are equal', () => {
  const at = (id: string, ms: number) => ({ id, validFrom: new Date(ms) })
  const fused = fuse([
    { hits: [at('old', 1)], weight: 1 },
    { hits: [at('new', 2)], weight: 1 },
  ])

  expect(order(fused)).toEqual(['new', 'old'])
})
