/**
 * What an edge denied is noted for the audit log: counted, bounded, and without the credential.
 */
import { expect, test } from 'vitest'
import type { Principal } from '../../src/edge/auth.js'
import { Denials } from '../../src/edge/denials.js'
import type { AuditNote } from '../../src/edge/dependencies.js'

const HOME = '127.0.0.1'
const alice: Principal = { tenant: 'acme', subject: 'alice', role: 'user', expiresAt: undefined }

function fixture() {
  const notes: AuditNote[] = []
  return { notes, denials: new Denials({ add: (note) => notes.push(note) }) }
}

test('the same denial many times is one note with a count', () => {
  const { notes, denials } = fixture()
  for (let n = 0; n < 1_000; n++) denials.credential('api_key_invalid', HOME)
  denials.credential('jwt_expired', HOME)
  denials.access(alice, 'read_audit')
  denials.access(alice, 'read_audit')
  denials.stop()

  expect(notes).toMatchObject([
    { tenant: undefined, actor: '127.0.0.1', action: 'credential.denied', subject: 'api_key_invalid' },
    { actor: '127.0.0.1', subject: 'jwt_expired', detail: { count: 1 } },
    { tenant: 'acme', actor: 'alice', action: 'access.denied', subject: 'read_audit', detail: { count: 2 } },
  ])
  expect(notes[0]?.detail).toEqual({ count: 1_000, since: expect.stringMatching(/^2/) })
})

test('whoever comes without a credential has not tried anything', () => {
  const { notes, denials } = fixture()
  denials.credential('credentials_missing', HOME)
  denials.stop()

  expect(notes).toEqual([])
})

test('denials from everywhere are a bounded number of notes', () => {
  const { notes, denials } = fixture()
  for (let n = 0; n < 5_000; n++) denials.credential('jwt_malformed', `10.0.${n >> 8}.${n & 255}`)
  denials.stop()

  expect(notes).toHaveLength(1_001)
  expect(notes.at(-1)).toMatchObject({ actor: 'many', subject: 'others', detail: { count: 4_000 } })
})

test('what was noted is not noted again', () => {
  const { notes, denials } = fixture()
  denials.credential('jwt_malformed', HOME)
  denials.flush()
  denials.credential('jwt_malformed', HOME)
  denials.stop()
  denials.stop()

  expect(notes.map(({ detail }) => detail.count)).toEqual([1, 1])
})
