/**
 * What the agents of a session have agreed on, and who may write it.
 */
import { beforeEach, expect, test } from 'vitest'
import { newSessionId, type SessionId } from '../../../src/protocol/ids.js'
import { Swarms } from '../../../src/storage/swarms.js'
import { eachDatabase } from '../../support/databases.js'

eachDatabase((open) => {
  let swarms: Swarms
  let id: SessionId
  beforeEach(async () => {
    swarms = new Swarms(await open())
    id = newSessionId(0)
  })

  test('what was saved last is loaded, exactly', async () => {
    expect(await swarms.load(id)).toBeUndefined()
    await swarms.save(id, 3, '{"a":1}')
    const body = JSON.stringify({ text: '\u0000\ud800 und €' })
    expect(await swarms.save(id, 3, body)).toBe(true)
    expect(await swarms.load(id)).toBe(body)
  })

  test('a former owner changes nothing', async () => {
    await swarms.save(id, 4, '{"by":"second"}')
    expect(await swarms.save(id, 3, '{"by":"first"}')).toBe(false)
    expect(await swarms.load(id)).toBe('{"by":"second"}')
  })
})
