/**
 * Conversations of Claude Code processes, and who may add to them.
 */
import { beforeEach, expect, test } from 'vitest'
import { newSessionId, type SessionId } from '../../../src/protocol/ids.js'
import { MAX_TRANSCRIPT_BYTES, type TranscriptEntry, Transcripts } from '../../../src/storage/transcripts.js'
import { eachDatabase } from '../../support/databases.js'

const entry = (text: string, uuid?: string): TranscriptEntry => ({ uuid, body: JSON.stringify({ type: 'user', text }) })
const bodies = (...texts: readonly string[]) => texts.map((text) => entry(text).body)

eachDatabase((open) => {
  let transcripts: Transcripts
  let id: SessionId
  beforeEach(async () => {
    transcripts = new Transcripts(await open())
    id = newSessionId(0)
  })

  test('entries come back as they were written, in their order, each path for itself', async () => {
    await transcripts.claim(id, 1)
    expect(
      await transcripts.append(id, 1, '', [entry('a', 'u1'), entry('b\u0000\ud800'), entry('b\u0000\ud800')]),
    ).toBe('ok')
    await transcripts.append(id, 1, 'agent-1', [entry('c')])
    await transcripts.append(id, 1, '', [entry('d', 'u2')])

    expect(await transcripts.load(id, '')).toEqual(bodies('a', 'b\u0000\ud800', 'b\u0000\ud800', 'd'))
    expect(await transcripts.load(id, 'agent-1')).toEqual(bodies('c'))
    expect(await transcripts.paths(id)).toEqual(['agent-1'])
  })

  test('an append that is sent again changes nothing', async () => {
    await transcripts.claim(id, 1)
    await transcripts.append(id, 1, '', [entry('a', 'u1'), entry('b', 'u2')])
    expect(await transcripts.append(id, 1, '', [entry('a', 'u1'), entry('b', 'u2')])).toBe('ok')
    expect(await transcripts.load(id, '')).toEqual(bodies('a', 'b'))
  })

  test('a former owner cannot append, nor take the transcript back', async () => {
    await transcripts.claim(id, 7)
    await transcripts.append(id, 7, '', [entry('first')])
    expect(await transcripts.claim(id, 8)).toBe(true)

    expect(await transcripts.append(id, 7, '', [entry('zombie')])).toBe('fenced')
    expect(await transcripts.claim(id, 7)).toBe(false)
    expect(await transcripts.append(id, 8, '', [entry('second')])).toBe('ok')
    expect(await transcripts.load(id, '')).toEqual(bodies('first', 'second'))
  })

  test('nobody appends to a transcript that nobody has taken up', async () => {
    expect(await transcripts.append(id, 1, '', [entry('a')])).toBe('fenced')
  })

  test('its owner clears it, and nobody else', async () => {
    await transcripts.claim(id, 3)
    await transcripts.append(id, 3, '', [entry('a', 'u1')])
    await transcripts.append(id, 3, 'agent-1', [entry('b')])

    expect(await transcripts.clear(id, 2)).toBe(false)
    expect(await transcripts.load(id, '')).toEqual(bodies('a'))
    expect(await transcripts.clear(id, 3)).toBe(true)
    expect([await transcripts.load(id, ''), await transcripts.paths(id)]).toEqual([[], []])
    expect(await transcripts.append(id, 3, '', [entry('new', 'u1')])).toBe('ok')
    expect(await transcripts.load(id, '')).toEqual(bodies('new'))
  })

  test('a transcript grows to its bound and not beyond', async () => {
    await transcripts.claim(id, 1)
    const half = { uuid: undefined, body: JSON.stringify('x'.repeat(MAX_TRANSCRIPT_BYTES / 2 + 1)) }
    expect(await transcripts.append(id, 1, '', [half])).toBe('ok')
    expect(await transcripts.append(id, 1, '', [half])).toBe('full')
    expect(await transcripts.append(id, 1, '', [entry('small')])).toBe('ok')
    expect(await transcripts.load(id, '')).toHaveLength(2)
  })
})
