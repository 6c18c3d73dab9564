import { expect, onTestFinished, test, vi } from 'vitest'
import type { Claim, Claimed, CommandBell, Refused, SessionLog } from '../../../src/bus/bus.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { Projector } from '../../../src/worker/projector.js'
import type { SessionHost } from '../../../src/worker/session-host.js'
import { type OwnedShard, ShardOwner, type ShardOwnerOptions } from '../../../src/worker/shard-owner.js'
import type { Takeover } from '../../../src/worker/turn-host.js'

const row = (shard: number): OwnedShard => ({ shard, epoch: 1, state: 'assigned', previousOwner: undefined })
const logger = { debug() {}, info() {}, warn() {}, error() {} }

/** An owner whose store and authority answer when the test says so. */
function fixture() {
  const rows: OwnedShard[] = []
  const reader = { add: vi.fn(), remove: vi.fn() }
  const gates: { claim: Promise<void>; assigned: Promise<void> } = {
    claim: Promise.resolve(),
    assigned: Promise.resolve(),
  }
  const letGo = vi.fn(async () => undefined)
  const raise = vi.fn(async () => undefined)
  const release = vi.fn(async () => undefined)
  const recover = vi.fn()
  const giveBack = vi.fn(async () => undefined)
  const formerOwner = vi.fn(async (): Promise<Takeover> => ({ fromWorker: 'w@0', afterMs: 0, planned: false }))
  const claim = vi.fn(async (_claim: Claim): Promise<Claimed | Refused> => {
    await gates.claim
    return { status: 'ok', active: [], unprojected: [], pins: [], cold: [], cursor: '0-0', storeChanged: false }
  })
  const claimAgain = vi.fn(async (): Promise<Claimed | undefined> => undefined)
  const remembers = vi.fn(() => false)
  const onStoreLost = vi.fn()
  const owner = new ShardOwner({
    node: 'w@1',
    log: { claim, release: async () => undefined } as unknown as SessionLog,
    bell: reader as unknown as CommandBell,
    host: { recover, drop: async () => undefined } as unknown as SessionHost,
    projector: { adopt: vi.fn(), release: letGo } as unknown as Projector,
    pins: { track: vi.fn(), drop: vi.fn(), isPinned: () => false },
    logger,
    assigned: async () => {
      const read = [...rows]
      await gates.assigned
      return read
    },
    release,
    raise,
    remembers,
    claimNew: claim as unknown as ShardOwnerOptions['claimNew'],
    giveBack,
    claimAgain,
    onCold: () => undefined,
    formerOwner,
    onInstalled: () => undefined,
    onStoreLost,
    onDropped: () => undefined,
  })
  onTestFinished(() => owner.drain())
  return {
    owner,
    rows,
    reader,
    gates,
    claim,
    raise,
    recover,
    formerOwner,
    remembers,
    onStoreLost,
    release,
    giveBack,
    claimAgain,
    letGo,
  }
}

function gate(): { readonly closed: Promise<void>; open(): void } {
  let open = () => {}
  const closed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { closed, open: () => open() }
}

test('a shard that is assigned while a round is under way is claimed by the next one at once', async () => {
  const { owner, rows, gates } = fixture()
  const reading = gate()
  gates.assigned = reading.closed
  const first = owner.poll()
  rows.push(row(3))
  const second = owner.poll()

  reading.open()
  await Promise.all([first, second])

  expect(owner.claimOf(3)).toMatchObject({ shard: 3, epoch: 1 })
})

test('a shard that is given away while its claim is on the way is not read', async () => {
  const { owner, rows, reader, gates, claim } = fixture()
  const claiming = gate()
  gates.claim = claiming.closed
  rows.push(row(3))
  const polled = owner.poll()
  await vi.waitFor(() => expect(claim).toHaveBeenCalledOnce())

  const drained = owner.drain()
  claiming.open()
  await Promise.all([polled, drained])

  expect(owner.claimOf(3)).toBeUndefined()
  expect(reader.add).not.toHaveBeenCalled()
})

test('a claim that is fenced although Postgres names this owner lifts the epoch above the one that Redis knows', async () => {
  const { owner, rows, claim, raise } = fixture()
  claim.mockImplementation(async ({ epoch }) =>
    epoch > 7
      ? { status: 'ok', active: [], unprojected: [], pins: [], cold: [], cursor: '0-0', storeChanged: false }
      : { status: 'fenced', epoch: 7 },
  )
  raise.mockImplementation(async () => {
    rows.splice(0, 1, { ...row(3), epoch: 8 })
  })
  rows.push(row(3))

  await owner.poll()
  expect(raise).toHaveBeenCalledExactlyOnceWith({ shard: 3, owner: 'w@1', epoch: 1 }, 8)
  expect(owner.claimOf(3)).toBeUndefined()
  await owner.poll()

  expect(owner.claimOf(3)).toMatchObject({ shard: 3, epoch: 8 })
})

test('a shard with unfinished work is read before anybody says who had it; its sessions wait for that', async () => {
  const { owner, rows, reader, claim, recover, formerOwner } = fixture()
  const session = newSessionId(3)
  claim.mockResolvedValue({
    ...{ status: 'ok', active: [session], unprojected: [], pins: [], cold: [], cursor: '0-0', storeChanged: false },
  })
  formerOwner.mockRejectedValueOnce(new Error('Postgres is away'))
  rows.push({ ...row(3), previousOwner: 'w@0' })

  await owner.poll()

  expect(reader.add).toHaveBeenCalledExactlyOnceWith(3)
  const [, sessions, told] = recover.mock.lastCall ?? []
  expect(sessions).toEqual([session])
  expect(await told).toMatchObject({ fromWorker: 'w@0' })
  expect(formerOwner).toHaveBeenCalledTimes(2)
})

test('a shard that is granted again under its epoch, in a store that has lost writes, gets them back before it is read', async () => {
  const { owner, rows, reader, claim, remembers, onStoreLost } = fixture()
  const another = { active: [], unprojected: [], pins: [], cold: [], cursor: '0-0', storeChanged: true }
  claim.mockResolvedValue({ status: 'ok', ...another })
  remembers.mockReturnValue(true)
  rows.push(row(3))

  await owner.poll()

  expect(onStoreLost).toHaveBeenCalledExactlyOnceWith({ shard: 3, owner: 'w@1', epoch: 1 })
  expect(reader.add).not.toHaveBeenCalled()
  await owner.reinstall(3, true)
  expect(reader.add).toHaveBeenCalledExactlyOnceWith(3)
})

test('unfinished sessions of a shard whose writes had to be put back first still learn who had them', async () => {
  const { owner, rows, claim, remembers, recover } = fixture()
  const session = newSessionId(3)
  const another = { active: [session], unprojected: [], pins: [], cold: [], cursor: '0-0', storeChanged: true }
  claim.mockResolvedValue({ status: 'ok', ...another })
  remembers.mockReturnValue(true)
  rows.push({ ...row(3), previousOwner: 'w@0' })

  await owner.poll()
  expect(recover).not.toHaveBeenCalled()
  await owner.reinstall(3, true)

  const [, sessions, told] = recover.mock.lastCall ?? []
  expect(sessions).toEqual([session])
  expect(await told).toMatchObject({ fromWorker: 'w@0' })
})

test('a shard that is asked for before it was claimed here goes at the next round', async () => {
  const { owner, rows, release, giveBack } = fixture()
  rows.push({ ...row(3), state: 'releasing' })

  await owner.poll()

  expect(giveBack).not.toHaveBeenCalled()
  expect(release).toHaveBeenCalledExactlyOnceWith(rows)
})

test('a shard that could not be given back goes at the next round', async () => {
  const { owner, rows, release, giveBack } = fixture()
  rows.push(row(3))
  await owner.poll()
  giveBack.mockRejectedValueOnce(new Error('Postgres is away'))
  rows.splice(0, 1, { ...row(3), state: 'releasing' })

  await owner.poll()
  expect(release).not.toHaveBeenCalled()
  await owner.poll()

  expect(giveBack).toHaveBeenCalledOnce()
  expect(release).toHaveBeenCalledExactlyOnceWith(rows)
})

test('a shard whose store is another is not claimed before what it lacks is put back', async () => {
  const { owner, rows, claim, onStoreLost } = fixture()
  rows.push(row(3))
  await owner.poll()

  await owner.reinstall(3)

  expect(claim).toHaveBeenCalledOnce()
  expect(onStoreLost).toHaveBeenCalledOnce()
})

test('a shard that was lost is claimed again only when everything of the lost claim has been let go', async () => {
  const { owner, rows, claim, letGo } = fixture()
  rows.push(row(3))
  await owner.poll()
  const leaving = gate()
  letGo.mockReturnValueOnce(leaving.closed as Promise<undefined>)
  const lost = owner.claimOf(3) as Claim
  owner.refused(lost, { status: 'fenced' })
  rows.splice(0, 1, { ...row(3), epoch: 2 })

  await owner.poll()
  expect(claim).toHaveBeenCalledOnce()
  leaving.open()

  await vi.waitFor(() => expect(owner.claimOf(3)).toMatchObject({ epoch: 2 }))
})
