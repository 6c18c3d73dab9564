/**
 * An embedding server over HTTP in the shape of OpenAI's API, without a model: it hashes words and their pieces into a
 * vector. Texts that share words or stems lie near each other; what the words mean it does not know. Asked for the model
 * with a thesaurus it knows other names of things, and nothing else.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export const HASHING_MODEL = 'feature-hashing'
export const THESAURUS_MODEL = 'feature-hashing-with-thesaurus'
export const HASHING_DIMENSIONS = 512
const PIECES = [3, 4, 5]
const WORD_WEIGHT = 2
const STOP = new Set(
  'a an and are as at be but by can did do does for from has have how i in is it me mine my of on or our shall so that the them they this to was we what when where which who whom whose will with you your'.split(
    ' ',
  ),
)

export interface EmbeddingServer {
  /** To be given as the base URL. */
  readonly url: string
  readonly requests: () => number
  close(): Promise<void>
}

/** A word, and what else the same is called. */
export type Thesaurus = readonly (readonly [word: string, other: string])[]

export function startEmbeddingServer(thesaurus: Thesaurus = []): Promise<EmbeddingServer> {
  let requests = 0
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString('utf8')
    })
    request.on('end', () => {
      requests++
      const { input, model } = JSON.parse(body) as { input: string | string[]; model: string }
      const known = model === THESAURUS_MODEL ? thesaurus : []
      const vectors = [input].flat().map((text) => vectorOf(inKnownWords(text, known)))
      const data = vectors.map((embedding, index) => ({ object: 'embedding', index, embedding }))
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ object: 'list', model, data, usage: { prompt_tokens: 0, total_tokens: 0 } }))
    })
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      const close = () => new Promise<void>((done) => void server.close(() => done()))
      resolve({ url: `http://127.0.0.1:${port}/v1`, requests: () => requests, close })
    })
  })
}

const inKnownWords = (text: string, thesaurus: Thesaurus): string =>
  thesaurus.reduce((known, [word, other]) => known.replaceAll(` ${other}`, ` ${word}`), text)

export function vectorOf(text: string): number[] {
  const vector = new Array<number>(HASHING_DIMENSIONS).fill(0)
  const add = (feature: string, weight: number): void => {
    const hash = hashOf(feature)
    const at = hash % HASHING_DIMENSIONS
    vector[at] = (vector[at] ?? 0) + ((hash >>> 16) & 1 ? weight : -weight)
  }
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    if (STOP.has(word)) continue
    add(word, WORD_WEIGHT)
    const framed = `<${word}>`
    for (const size of PIECES) {
      for (let at = 0; at + size <= framed.length; at++) add(framed.slice(at, at + size), 1 / Math.sqrt(framed.length))
    }
  }
  const length = Math.hypot(...vector) || 1
  return vector.map((value) => value / length)
}

/** FNV-1a, stirred once more: its low bits alone are poor. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (hash ^ (hash >>> 13)) >>> 0
}
