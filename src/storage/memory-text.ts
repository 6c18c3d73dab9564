/**
 * Text as it is searched: plain words, the same on the way in and in a question. Pure.
 */
import { createHash } from 'node:crypto'

/** What of an item is searched; the rest is kept and shown, and is found by its beginning. */
const MAX_SEARCHED_CHARS = 16_000
/** Longer runs of letters are hashes and base64, which nobody asks for. */
const MAX_WORD_CHARS = 64

const NO_WORD = /[^\p{L}\p{N}\p{M}]+/gu
/** Between a small letter or a digit and a capital one, and before the last of several capitals: getUserID, HTTPServer. */
const HUMP = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/gu
const APOSTROPHE = /(?<=\p{L})['’](?=\p{L})/gu

/**
 * Words separated by spaces. What stands between them is dropped, because parsers of databases see hosts, paths and
 * versions in it and then find only those. Names in code are words as they stand and in their parts.
 */
export function searchText(text: string): string {
  const plain = text.slice(0, MAX_SEARCHED_CHARS).normalize('NFKC').replace(APOSTROPHE, '')
  const words: string[] = []
  for (const word of plain.split(NO_WORD)) {
    if (word === '' || word.length > MAX_WORD_CHARS) continue
    const parts = word.split(HUMP)
    words.push(word, ...(parts.length > 1 ? parts : []))
  }
  return words.join(' ').toLowerCase()
}

export const wordCount = (searched: string): number => (searched === '' ? 0 : searched.split(' ').length)

export interface Question {
  /** All words but the excluded ones. */
  readonly words: string
  /** Must stand together. */
  readonly phrases: readonly string[]
  /** Must not occur. */
  readonly excluded: readonly string[]
}

const QUOTED = /(?<!\S)(-?)"([^"]*)"/g
const EXCLUDED = /(?<!\S)-([\p{L}\p{N}][^\s"]*)/gu

/** A question as people write it for search engines: "quoted words" stand together, -word must not occur. */
export function questionOf(text: string): Question {
  const phrases: string[] = []
  const excluded: string[] = []
  const note = (list: string[], words: string) => {
    const searched = searchText(words)
    if (searched !== '') list.push(searched)
  }
  const words = text
    .replace(QUOTED, (_whole, minus: string, phrase: string) => {
      note(minus === '' ? phrases : excluded, phrase)
      return minus === '' ? ` ${phrase} ` : ' '
    })
    .replace(EXCLUDED, (_whole, word: string) => {
      note(excluded, word)
      return ' '
    })
  return { words: searchText(words), phrases, excluded }
}

export const hashOf = (...parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex')

/** The word that marks all items of a holder; no word of a text can be it. */
export const holderMark = (tenant: string, owner: string): string => `@${hashOf(tenant, owner).slice(0, 32)}`
