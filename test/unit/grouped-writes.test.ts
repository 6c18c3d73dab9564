import { expect, test, vi } from 'vitest'
import { GroupedWrites } from '../../src/bus/memory/durability.js'
import type { BusWrite } from '../../src/storage/standalone-bus.js'

const shardRow = (shard: number) => ({ shard, owner: 'w@1', epoch: 1, cursor: 0 })

function recordingJournal() {
  const written: number[] = []
  return {
    written,
    load: async () => ({ shards: [], sessions: [], commands: [], seen: [], pieces: [], events: [], timers: [] }),
    write: async (rows: BusWrite) => {
      written.push(...rows.shards.map(({ shard }) => shard))
    },
  }
}

/** An operation as the bus makes it: rows in the same turn, then the wait for the disk. */
function operate(writes: GroupedWrites, shard: number): Promise<void> {
  const group = writes.group()
  group.shard(shardRow(shard))
  return writes.keep(group)
}

test('an operation is on the disk before it is answered, also when the machine stood still while it began', async () => {
  const journal = recordingJournal()
  const writes = new GroupedWrites(journal)
  let now = 0
  // Every look at the clock finds that more time has passed than a group waits for others.
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => {
    now += 50
    return now
  })

  await operate(writes, 7)
  clock.mockRestore()

  expect(journal.written).toEqual([7])
})

test('operations that come close together share a write, in their order', async () => {
  const journal = recordingJournal()
  const write = vi.spyOn(journal, 'write')
  const writes = new GroupedWrites(journal)

  await Promise.all([operate(writes, 1), operate(writes, 2), operate(writes, 3)])

  expect(write).toHaveBeenCalledOnce()
  expect(journal.written).toEqual([1, 2, 3])
})
