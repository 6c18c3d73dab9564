/**
 * How a worker accepts: one batch of a shard after the other, as often as it is told, and in peace with a store that fails.
 */
import { expect, test, vi } from 'vitest'
import {
  type Acceptance,
  type Accepted,
  type Claim,
  type CommandStream,
  type Refused,
  StoreRefusal,
} from '../../../src/bus/bus.js'
import { HYDRATE, type Submission } from '../../../src/bus/command.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { CommandReader } from '../../../src/worker/command-reader.js'

const SHARD = 4
const claim: Claim = { shard: SHARD, owner: 'worker@1', epoch: 3 }
const nothing: Accepted = { status: 'ok', commands: [], more: false, cursor: '0-0', skipped: false }

function fixture(accept: (claim: Claim, cursor?: string) => Promise<Accepted | Refused>) {
  const state = { claim: claim as Claim | undefined, restoring: false }
  const acceptSpy = vi.fn(accept)
  const deliver = vi.fn()
  const onCold = vi.fn()
  const onFailed = vi.fn(async () => undefined)
  const onRefused = vi.fn()
  const onSkipped = vi.fn(async () => undefined)
  const reader = new CommandReader({
    commands: { accept: acceptSpy } as unknown as CommandStream,
    deliver,
    claimOf: () => state.claim,
    isRestoring: () => state.restoring,
    onSkipped,
    onRefused,
    onFailed,
    onCold,
  })
  return { reader, state, deliver, onCold, onFailed, onRefused, onSkipped, accept: acceptSpy }
}

function taken(type: Submission['type'], status: Acceptance['status']): Accepted['commands'][number] {
  const sessionId = newSessionId(SHARD)
  const route = { sessionId, commandId: sessionId, type, tenant: 't', outbox: 'e@1-1', fresh: false } as const
  return { submission: { ...route, body: '{}' }, acceptance: { sessionId, commandId: sessionId, status, detail: '' } }
}

test('a shard that is told of while it is read is read once more, not twice at once', async () => {
  let running = 0
  const seen: number[] = []
  const gates: (() => void)[] = []
  const { reader } = fixture(async () => {
    running += 1
    seen.push(running)
    await new Promise<void>((resolve) => gates.push(resolve))
    running -= 1
    return nothing
  })

  for (let ring = 0; ring < 5; ring++) reader.read(SHARD)
  await vi.waitFor(() => expect(gates).toHaveLength(1))
  gates[0]?.()
  await vi.waitFor(() => expect(gates).toHaveLength(2))
  gates[1]?.()
  await reader.stop()

  expect(seen).toEqual([1, 1])
})

test('a batch that leaves more behind is followed by the next', async () => {
  const left = [true, true, false]
  const { reader, deliver } = fixture(async () => ({ ...nothing, more: left.shift() ?? false }))

  reader.read(SHARD)
  await vi.waitFor(() => expect(deliver).toHaveBeenCalledTimes(3))
  await reader.stop()

  expect(left).toEqual([])
})

test('commands of a shard that was given away meanwhile are left to the next owner', async () => {
  const { reader, state, deliver } = fixture(async () => {
    state.claim = undefined
    return nothing
  })

  reader.read(SHARD)
  await reader.stop()

  expect(deliver).not.toHaveBeenCalled()
})

test('a session that the store does not hold is told of, and who only asks for one is no command', async () => {
  const [cold, question] = [taken('execute', 'cold'), taken(HYDRATE, 'dup')]
  const replies: Accepted[] = [{ ...nothing, commands: [cold, question] }]
  const { reader, onCold, deliver } = fixture(async () => replies.shift() ?? nothing)

  reader.read(SHARD)
  await vi.waitFor(() => expect(onCold).toHaveBeenCalled())
  await reader.stop()

  expect(onCold.mock.calls).toEqual([[claim, cold.submission.sessionId]])
  expect(deliver.mock.calls).toEqual([[claim, [cold], expect.any(Number)]])
})

test('what the store refuses is told with its words after a pause, and the shard can be read again', async () => {
  const error = new StoreRefusal('WRONGTYPE')
  let failing = true
  const { reader, onFailed, deliver } = fixture(async () => {
    if (failing) throw error
    return nothing
  })

  const before = performance.now()
  reader.read(SHARD)
  await vi.waitFor(() => expect(onFailed).toHaveBeenCalledWith(SHARD, error))
  expect(performance.now() - before).toBeGreaterThan(100)
  failing = false
  reader.read(SHARD)
  await vi.waitFor(() => expect(deliver).toHaveBeenCalledTimes(1))
  await reader.stop()
})

test('a refused epoch ends the reading and is told', async () => {
  const { reader, onRefused, onFailed } = fixture(async () => ({ status: 'fenced', epoch: 9 }))

  reader.read(SHARD)
  await vi.waitFor(() => expect(onRefused).toHaveBeenCalledWith(claim, { status: 'fenced', epoch: 9 }))
  await reader.stop()

  expect(onFailed).not.toHaveBeenCalled()
})

test('each batch names the cursor that the last one, or the claim, told', async () => {
  const cursors = ['5-1', '5-2']
  const { reader, accept } = fixture(async () => ({
    ...nothing,
    cursor: cursors.shift() ?? '5-2',
    more: cursors.length > 0,
  }))

  reader.placed(SHARD, '4-7')
  reader.read(SHARD)
  await vi.waitFor(() => expect(accept).toHaveBeenCalledTimes(2))
  await reader.stop()

  expect(accept.mock.calls).toEqual([
    [claim, '4-7'],
    [claim, '5-1'],
  ])
})

test('commands that were accepted before without a reply come first: all are read from the inboxes', async () => {
  const { reader, deliver, onSkipped } = fixture(async () => ({ ...nothing, skipped: true }))

  reader.read(SHARD)
  await vi.waitFor(() => expect(onSkipped).toHaveBeenCalledWith(SHARD))
  await reader.stop()

  expect(deliver).not.toHaveBeenCalled()
})

test('nothing is accepted while a shard is being restored', async () => {
  const { reader, state, accept, deliver } = fixture(async () => nothing)
  state.restoring = true
  reader.read(SHARD)
  await new Promise((resolve) => setImmediate(resolve))
  expect(accept).not.toHaveBeenCalled()

  state.restoring = false
  reader.read(SHARD)
  await vi.waitFor(() => expect(deliver).toHaveBeenCalledOnce())
  await reader.stop()
})
