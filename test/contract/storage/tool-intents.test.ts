/**
 * Tool calls that must never run twice.
 */
import { beforeEach, expect, test } from 'vitest'
import { newCommandId, newSessionId } from '../../../src/protocol/ids.js'
import { type ToolIntent, ToolIntents } from '../../../src/storage/tool-intents.js'
import { eachDatabase } from '../../support/databases.js'

eachDatabase((open) => {
  let intents: ToolIntents
  let call: ToolIntent
  beforeEach(async () => {
    intents = new ToolIntents(await open())
    const place = { sessionId: newSessionId(0), commandId: newCommandId(), step: 1, position: 0 }
    call = { ...place, callId: 'call-1', tool: 'bash_execute', token: 'first' }
  })

  test('a call begins for one writer, who may repeat itself', async () => {
    expect(await intents.begin(call)).toBe(true)
    expect(await intents.begin(call)).toBe(true)
  })

  test('a call that begins again in the same place has begun before, whatever id the model gave it', async () => {
    await intents.begin(call)
    expect(await intents.begin({ ...call, callId: 'call-2', token: 'second' })).toBe(false)
  })

  test('of many writers at once exactly one begins', async () => {
    const writers = Array.from({ length: 8 }, (_, n) => intents.begin({ ...call, token: `writer-${n}` }))
    expect((await Promise.all(writers)).filter(Boolean)).toHaveLength(1)
  })

  test.each([
    ['another place in the answer', { position: 1 }],
    ['another step', { step: 2 }],
    ['another command', { commandId: 'c-2' }],
    ['another session', { sessionId: newSessionId(1) }],
  ])('%s is another call', async (_name, other) => {
    await intents.begin(call)
    expect(await intents.begin({ ...call, ...other, token: 'second' })).toBe(true)
  })

  test('ids that no text column can hold are kept apart all the same', async () => {
    const odd = { ...call, commandId: 'a\0b', callId: '\0', tool: '\0' }
    expect(await intents.begin(odd)).toBe(true)
    expect(await intents.begin({ ...odd, token: 'second' })).toBe(false)
  })
})
