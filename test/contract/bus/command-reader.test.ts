/**
 * A reader hands out the commands of the shards that it was given, in order, and of no others.
 */
import { expect, test } from 'vitest'
import type { Bus, CommandBatch } from '../../../src/bus/bus.js'
import type { Submission } from '../../../src/bus/command.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { ARRIVAL, submission, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const [FIRST, SECOND, THIRD] = [50, 51, 52] as const
const OUTBOX = 'edge@1-1'
/** Far below the second after which a blocked read ends by itself. */
const AT_ONCE = { timeout: 700, interval: 5 } as const

const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

eachBus((fixture) => {
  async function submitAll(bus: Bus, shard: number, count: number): Promise<string[]> {
    const sessionId = newSessionId(shard)
    const all: Submission[] = Array.from({ length: count }, () => submission(sessionId, OUTBOX))
    for (const it of all) expect(await bus.commands.submit(it)).toEqual({ status: 'ok' })
    return all.map((it) => it.commandId)
  }

  function collect(bus: Bus, onBatch: (batch: CommandBatch) => Promise<void> = async () => undefined) {
    const read: string[] = []
    const reader = bus.commands.openReader(
      async (batch) => {
        read.push(...batch.submissions.map((it) => it.commandId))
        await onBatch(batch)
      },
      () => undefined,
    )
    return { read, reader }
  }

  test('a submission arrives as it was sent', async () => {
    const { bus } = await fixture.open()
    const owner = await TestOwner.claim(bus, FIRST)
    const batches: CommandBatch[] = []
    const { reader } = collect(bus, async (batch) => void batches.push(batch))
    reader.add(FIRST, owner.cursor)
    const sent = submission(newSessionId(FIRST), OUTBOX, { type: 'spawn', fresh: true, body: '{"é":"\\u0000"}' })
    await bus.commands.submit(sent)

    await expect.poll(() => batches, ARRIVAL).toMatchObject([{ shard: FIRST, submissions: [sent] }])
    await reader.stop()
  })

  test('a shard that is added or removed counts at once, also while the reader waits for another', async () => {
    const { bus } = await fixture.open()
    const cursors = await Promise.all([FIRST, SECOND, THIRD].map((shard) => TestOwner.claim(bus, shard)))
    const [first, second] = cursors
    const { read, reader } = collect(bus)
    reader.add(FIRST, first?.cursor ?? '')
    const warm = await submitAll(bus, FIRST, 1)
    await expect.poll(() => read, ARRIVAL).toEqual(warm)
    const waiting = await submitAll(bus, SECOND, 2)

    // The reader now blocks on the first shard alone.
    reader.add(SECOND, second?.cursor ?? '')
    await expect.poll(() => read, AT_ONCE).toEqual([...warm, ...waiting])

    reader.remove(FIRST)
    await submitAll(bus, FIRST, 3)
    const last = await submitAll(bus, SECOND, 1)
    await expect.poll(() => read, AT_ONCE).toEqual([...warm, ...waiting, ...last])
    await reader.stop()
  })

  test('batches of a shard come in order, the next only after the handler of the former returned', async () => {
    const { bus } = await fixture.open()
    const owner = await TestOwner.claim(bus, FIRST)
    let running = 0
    let most = 0
    const { read, reader } = collect(bus, async () => {
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setTimeout(resolve, 2))
      running -= 1
    })
    reader.add(FIRST, owner.cursor)

    const sent: string[] = []
    for (let wave = 0; wave < 5; wave++) {
      sent.push(...(await submitAll(bus, FIRST, 50)))
      // Lets a reader of this process run, while its handler is still busy with the former wave.
      await turnOfTheLoop()
    }

    await expect.poll(() => read.length, ARRIVAL).toBe(sent.length)
    expect(read).toEqual(sent)
    expect(most).toBe(1)
    await reader.stop()
  })

  test('a slow handler of one shard is waited for when the shard is removed and added again', async () => {
    const { bus } = await fixture.open()
    const owner = await TestOwner.claim(bus, FIRST)
    let finish: () => void = () => undefined
    const slow = new Promise<void>((resolve) => {
      finish = resolve
    })
    const { read, reader } = collect(bus, () => slow)
    reader.add(FIRST, owner.cursor)
    const sent = await submitAll(bus, FIRST, 1)
    await expect.poll(() => read, ARRIVAL).toEqual(sent)

    reader.remove(FIRST)
    reader.add(FIRST, owner.cursor)
    await turnOfTheLoop()
    const before = read.length
    finish()

    // Nothing was accepted, so the cursor of the claim hands out the same command once more.
    expect(before).toBe(1)
    await expect.poll(() => read, ARRIVAL).toEqual([...sent, ...sent])
    await reader.stop()
  })

  test('a stopped reader hands out nothing any more', async () => {
    const { bus } = await fixture.open()
    const owner = await TestOwner.claim(bus, FIRST)
    const [stopped, witness] = [collect(bus), collect(bus)]
    stopped.reader.add(FIRST, owner.cursor)
    witness.reader.add(FIRST, owner.cursor)
    const sent = await submitAll(bus, FIRST, 1)
    await expect.poll(() => [...stopped.read, ...witness.read], ARRIVAL).toEqual([...sent, ...sent])

    await stopped.reader.stop()
    const more = await submitAll(bus, FIRST, 1)

    await expect.poll(() => witness.read, ARRIVAL).toEqual([...sent, ...more])
    expect(stopped.read).toEqual(sent)
    await witness.reader.stop()
  })
})
