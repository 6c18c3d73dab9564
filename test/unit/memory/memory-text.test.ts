/**
 * Text as it is searched.
 */
import { expect, test } from 'vitest'
import { holderMark, questionOf, searchText } from '../../../src/storage/memory-text.js'

test.each([
  ['see https://x.example/a-b?c=d', 'see https x example a b c d'],
  ['getUserID(HTTPServer)', 'getuserid get user id httpserver http server'],
  ["it's Anna’s", 'its annas'],
  ['Malmö 2026-11-27', 'malmö 2026 11 27'],
  ['a\0b', 'a b'],
  ['x'.repeat(65), ''],
])('%j is searched as %j', (text, searched) => {
  expect(searchText(text)).toBe(searched)
})

test('a question has words, phrases that stand together, and words that do not occur', () => {
  expect(questionOf('find "red hot" iron -chili -"very cold" e-mail')).toEqual({
    words: 'find red hot iron e mail',
    phrases: ['red hot'],
    excluded: ['very cold', 'chili'],
  })
})

test('no word can be the mark of a holder, and every holder has another', () => {
  expect(searchText(holderMark('a', 'b'))).not.toContain('@')
  expect(new Set([holderMark('a', 'b'), holderMark('ab', ''), holderMark('a', 'bb')]).size).toBe(3)
})
