/** JSON of clients: nested as deeply as is allowed, and no deeper, wherever it is read. */
import { describe, expect, test } from 'vitest'
import { checked, parsed } from '../../../src/edge/http/head.js'
import { readRequest } from '../../../src/edge/v2/frame-reader.js'
import { decode } from '../../../src/protocol/codec.js'
import { traceparentSchema } from '../../../src/protocol/commands.js'
import { MAX_JSON_DEPTH, parseJson } from '../../../src/protocol/json.js'

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`
/** More than the stack of any engine holds, where the length of a text is looked for. */
const HOSTILE = `{"type":"ping","id":"x","method":"x","traceparent":{"length":${nested(50_000)}}}`
const REFUSED = { code: 'invalid_payload', message: expect.stringContaining('nested deeper than 128 levels') }

describe('what is nested', () => {
  test('as deeply as is allowed is read, one level more is refused', () => {
    expect(JSON.stringify(parseJson(nested(MAX_JSON_DEPTH)))).toBe(nested(MAX_JSON_DEPTH))
    expect(() => parseJson(nested(MAX_JSON_DEPTH + 1))).toThrow(expect.objectContaining(REFUSED))
  })

  test('within texts counts for nothing, also behind escaped quotes', () => {
    for (const text of [nested(1_000), `\\"${nested(1_000)}`, `"${'['.repeat(1_000)}`, '{'.repeat(1_000)])
      expect(parseJson(JSON.stringify([text]))).toEqual([text])
  })

  test('side by side may be as much as there is room for', () => {
    const wide = `[${Array(10_000).fill('{"a":[]}').join(',')}]`
    expect(parseJson(wide)).toHaveLength(10_000)
  })
})

test('a message that would end the stack of who checks it is refused, at each door', () => {
  expect(decode(HOSTILE)).toMatchObject({ ok: false, error: REFUSED })
  expect(readRequest(HOSTILE)).toMatchObject({ ok: false, error: REFUSED })
  expect(() => checked(traceparentSchema, parsed(Buffer.from(HOSTILE)))).toThrow(expect.objectContaining(REFUSED))
})

test('what is no JSON is told so', () => {
  expect(() => parseJson('{"a":')).toThrow(expect.objectContaining({ code: 'invalid_message' }))
})
