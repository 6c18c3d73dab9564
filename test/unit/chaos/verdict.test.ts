/**
 * What a verdict says: figures of each fault from the journals alone, and a table that a person can read.
 */
import { expect, test } from 'vitest'
import { checkHistory } from '../../../src/chaos/checker/checker.js'
import { spread } from '../../../src/chaos/checker/spread.js'
import { verdictTable } from '../../../src/chaos/verdict-table.js'
import { Story } from '../../support/chaos/story.js'

/** A worker dies under one of two sessions, and an edge under one of two clients. */
function story(): Story {
  const told = new Story()
  const [first, second] = [told.session(), told.session()]
  const [a, b] = [told.client(), told.client()]
  for (const [client, session, command] of [
    [a, first, 'x'],
    [b, second, 'y'],
  ] as const) {
    client.send(command, 'spawn')
    client.accepted(command, session)
    session.append('session_spawned', { command })
    session.append('task_executing', { command })
    client.catchUp(session)
  }
  told.fault({ test: 'T1', fault: 'worker-kill', node: 'w1', began: told.tick(), healed: told.at })
  told.tick(3_000)
  first.epoch = 2
  a.see(first, first.append('session_takeover', { command: 'x', from: 'w1', to: 'w2', attempt: 1 }))
  told.fault({ test: 'T2', fault: 'edge-kill', node: 'edge-1', began: told.tick(), healed: told.at })
  b.disconnect()
  told.tick(500)
  second.append('task_completed', { command: 'y' })
  b.connect('edge-2')
  b.resume(second)
  b.catchUp(second)
  a.see(first, first.append('task_completed', { command: 'x' }))
  told.tick(20_000)
  a.send('late', 'execute', first)
  a.refused('late')
  for (const client of [a, b]) client.close()
  return told
}

test('figures tell how long each fault was felt, and by whom', async () => {
  const { ok, figures } = await checkHistory(story().history())

  expect(ok).toBe(true)
  const [worker, edge] = figures.faults
  expect(worker).toMatchObject({ fault: 'worker-kill', runs: 1, withCommandsInFlight: 1, withWorkOnVictim: 1 })
  expect(worker?.takeoverMs).toMatchObject({ count: 1, p50: expect.closeTo(3_001, 0) })
  expect(edge).toMatchObject({ fault: 'edge-kill', runs: 1, withCommandsInFlight: 1, withWorkOnVictim: 1 })
  expect(edge?.resumeMs).toMatchObject({ count: 1, p50: expect.closeTo(502, 0) })
  expect(figures.insideFaults).toMatchObject({ sent: 0, acceptedShare: 1 })
  expect(figures.outsideFaults).toMatchObject({ sent: 3, accepted: 2, acceptMs: { count: 2 }, endMs: { count: 2 } })
  expect(figures).toMatchObject({ commands: 3, sessions: 2, events: 7, resets: 0 })
})

test('what was sent within a fault, or shortly after it, counts apart', async () => {
  const told = new Story()
  const [session, client] = [told.session(), told.client()]
  told.fault({ test: 'T5', fault: 'redis-kill', began: told.tick(), healed: told.tick(100) })
  told.tick(4_000)
  client.send('x', 'spawn')
  client.accepted('x', session)
  session.append('session_spawned', { command: 'x' })
  session.append('task_completed', { command: 'x' })

  const { figures } = await checkHistory(told.history())

  expect(figures.insideFaults.sent).toBe(1)
  expect(figures.outsideFaults.sent).toBe(0)
})

/** A command that is accepted and then ends `ends` times. */
function command(told: Story, id: string, ends: number): void {
  const [session, client] = [told.session(), told.client()]
  client.send(id, 'spawn')
  client.accepted(id, session)
  session.append('session_spawned', { command: id })
  session.append('task_executing', { command: id })
  for (let n = 0; n < ends; n++) session.append('task_completed', { command: id })
}

test('each fault is charged with the commands that it met, and with what became of them', async () => {
  const told = new Story()
  command(told, 'lost', 0)
  told.fault({ test: 'T1', fault: 'worker-kill', began: told.tick(), healed: told.tick() })
  command(told, 'doubled', 2)
  told.tick(20_000)
  told.fault({ test: 'T5', fault: 'redis-kill', began: told.tick(), healed: told.tick() })
  command(told, 'good', 1)
  told.tick(20_000)
  command(told, 'quiet', 1)

  const { figures } = await checkHistory(told.history())

  expect(figures.faults).toMatchObject([
    { test: 'T1', sent: 1, lost: 1, doubled: 1 },
    { test: 'T5', sent: 1, lost: 0, doubled: 0 },
  ])
})

test('a store had work when commands were in flight, or when it took some that its replica no longer heard of', async () => {
  const told = new Story()
  const nothing = { sessions: 0, commands: 0 }
  const failover = { test: 'T6', fault: 'redis-failover', losesWrites: true } as const
  told.fault({ test: 'T5', fault: 'redis-kill', inFlight: nothing, began: told.tick(), healed: told.tick() })
  told.fault({ ...failover, variant: 'idle', inFlight: nothing, began: told.tick(), healed: told.tick(10) })
  told.fault({
    ...{ ...failover, inFlight: { sessions: 1, commands: 2 } },
    ...{ began: told.tick(), cutUntil: told.tick(), healed: told.tick() },
  })
  const began = told.tick()
  command(told, 'x', 1)
  const cutUntil = told.tick()
  told.fault({ ...failover, inFlight: nothing, began, cutUntil, healed: told.tick() })

  const { figures } = await checkHistory(told.history())

  expect(figures.faults).toMatchObject([
    { fault: 'redis-kill', runs: 1, withWorkOnVictim: 0 },
    { variant: 'idle', runs: 1, withWorkOnVictim: 0 },
    { fault: 'redis-failover', runs: 2, withWorkOnVictim: 2 },
  ])
})

test('a spread of nothing is nothing, and the 99th percentile of a hundred is the greatest', () => {
  expect(spread([])).toEqual({ count: 0, p50: 0, p99: 0, max: 0 })
  expect(spread(Array.from({ length: 100 }, (_, index) => 100 - index))).toEqual({
    count: 100,
    p50: 51,
    p99: 100,
    max: 100,
  })
})

test('the table of a good run says what held and what was not tried', async () => {
  const lines = verdictTable(await checkHistory(story().history()))

  expect(lines.find((line) => line.startsWith('G1'))).toMatch(/^G1 {2}held\s+2\s+0\s+an accepted command ends/)
  expect(lines.find((line) => line.startsWith('G9'))).toMatch(/^G9 {2}not tried\s+0\s+0/)
  expect(lines.find((line) => line.startsWith('worker-kill'))).toMatch(
    /1\s+1\s+0\s+0\s+0\s+3001 \/ 3001 \/ 3001 ms \(1\)/,
  )
  expect(lines.at(-1)).toBe('All guarantees held (seed 1).')
})

test('the table of a bad run shows the lines that prove it, and marks them when it is asked to', async () => {
  const told = story()
  told.sessions[0]?.events.pop()

  const verdict = await checkHistory(told.history())
  const plain = verdictTable(verdict).join('\n')
  const marked = verdictTable(verdict, { good: (text) => text, bad: (text) => `<${text}>`, faint: (text) => text })

  expect(plain).toMatch(/^G1 {2}BROKEN/m)
  expect(plain).toContain('G1  x was accepted and has no end')
  expect(plain).toContain('log s1  2-3 session_takeover of x (Redis and Postgres)')
  expect(plain).not.toContain('<')
  expect(marked.at(-1)).toBe('<Broken: G1, G4 (seed 1).>')
})
