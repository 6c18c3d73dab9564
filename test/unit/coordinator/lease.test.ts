/**
 * When a leader may believe that it leads.
 */
import { expect, test } from 'vitest'
import { LEASE_MS, Lease } from '../../../src/coordinator/lease.js'

/** A row as Postgres keeps it, judged by `clock.now`; answers take `clock.latencyMs`. */
function fixture() {
  const clock = { now: 0, latencyMs: 0, down: false }
  const row = { holder: '', term: 0, expiresAt: 0 }
  const answer = <T>(value: T): T => {
    if (clock.down) throw new Error('the database is away')
    clock.now += clock.latencyMs
    return value
  }
  const records = {
    async campaign(holder: string, leaseMs: number) {
      if (clock.down || row.expiresAt > clock.now) return answer(undefined)
      Object.assign(row, { holder, term: row.term + 1, expiresAt: clock.now + leaseMs })
      return answer({ term: row.term })
    },
    async renew(holder: string, term: number, leaseMs: number) {
      const held = row.holder === holder && row.term === term && row.expiresAt > clock.now
      if (held && !clock.down) row.expiresAt = clock.now + leaseMs
      return answer(held)
    },
    async resign() {
      row.expiresAt = clock.now
    },
  }
  const candidate = (holder: string) => new Lease({ records, holder, clock: () => clock.now })
  return { clock, row, candidate }
}

test('one of two candidates leads, and the other follows when it resigns', async () => {
  const { candidate } = fixture()
  const [first, second] = [candidate('a'), candidate('b')]

  expect(await first.hold()).toEqual({ holder: 'a', term: 1 })
  expect(await second.hold()).toBeUndefined()
  await first.resign()

  expect(first.term).toBeUndefined()
  expect(await second.hold()).toEqual({ holder: 'b', term: 2 })
})

test('a leader renews at a third of the lease and keeps its term', async () => {
  const { clock, row, candidate } = fixture()
  const lease = candidate('a')
  await lease.hold()

  for (let step = 0; step < 100; step++) {
    clock.now += 250
    expect(await lease.hold()).toEqual({ holder: 'a', term: 1 })
    expect(row.expiresAt - clock.now).toBeGreaterThan(LEASE_MS / 2)
  }
})

test('a leader whose renewals fail stops believing before another can lead', async () => {
  const { clock, row, candidate } = fixture()
  const lease = candidate('a')
  await lease.hold()

  clock.down = true
  for (; lease.term; clock.now += 50) await lease.hold().catch(() => undefined)

  expect(clock.now).toBeGreaterThan(LEASE_MS / 2)
  expect(clock.now).toBeLessThan(row.expiresAt)
})

test('a lease counts from when it was asked for, so a slow answer shortens it', async () => {
  const { clock, candidate } = fixture()
  const lease = candidate('a')
  clock.latencyMs = LEASE_MS

  await lease.hold()

  expect(lease.term).toBeUndefined()
})

test('a suspended leader finds on waking that it does not lead', async () => {
  const { clock, candidate } = fixture()
  const [first, second] = [candidate('a'), candidate('b')]
  await first.hold()

  clock.now += 60_000
  await second.hold()

  expect(first.term).toBeUndefined()
  expect(await first.hold()).toBeUndefined()
  expect(second.term).toEqual({ holder: 'b', term: 2 })
})
