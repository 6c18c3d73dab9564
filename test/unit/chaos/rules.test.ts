/**
 * Each rule of the history checker on a history of a few lines: one that keeps the guarantee, and one that breaks it and
 * is named for it, alone.
 */
import { describe, expect, test } from 'vitest'
import { checkHistory } from '../../../src/chaos/checker/checker.js'
import type { Guarantee } from '../../../src/chaos/checker/findings.js'
import { Story, type StoryClient, type StorySession } from '../../support/chaos/story.js'

/** A session that client c1 has spawned, with its first task done. */
function told(): { story: Story; session: StorySession; client: StoryClient } {
  const story = new Story()
  const [session, client] = [story.session(), story.client()]
  client.send('spawn', 'spawn')
  client.accepted('spawn', session)
  session.append('session_spawned', { command: 'spawn' })
  perform(session, 'spawn')
  client.catchUp(session)
  return { story, session, client }
}

function perform(session: StorySession, command: string): void {
  session.append('task_executing', { command })
  session.append('task_completed', { command })
}

function ask(client: StoryClient, session: StorySession, command: string): void {
  client.send(command, 'execute', session)
  client.accepted(command, session)
}

async function broken(story: Story): Promise<Guarantee[]> {
  const { guarantees } = await checkHistory(story.history())
  return guarantees.filter(({ violated }) => violated > 0).map(({ guarantee }) => guarantee)
}

async function checkedCases(story: Story, guarantee: Guarantee): Promise<number> {
  const { guarantees } = await checkHistory(story.history())
  return guarantees.find((each) => each.guarantee === guarantee)?.checked ?? 0
}

test('a plain story keeps everything, and what it does not try is not counted as proved', async () => {
  const { story, client } = told()
  client.close()

  const { ok, guarantees } = await checkHistory(story.history())

  expect(ok).toBe(true)
  const tried = guarantees.filter(({ checked }) => checked > 0).map(({ guarantee }) => guarantee)
  expect(tried).toEqual(['G1', 'G2', 'G3', 'G4', 'G6'])
})

describe('G1', () => {
  test('a command without an end is lost', async () => {
    const { story, session, client } = told()
    ask(client, session, 'a')
    expect(await broken(story)).toEqual(['G1'])

    perform(session, 'a')
    expect(await broken(story)).toEqual([])
  })

  test('a command that nobody was told of has to end once it has begun', async () => {
    const { story, session, client } = told()
    client.send('a', 'execute', session)
    expect(await broken(story)).toEqual([])

    session.append('task_executing', { command: 'a' })
    expect(await broken(story)).toEqual(['G1'])
  })

  test('a harmless command that is set aside is lost, a poisonous one is not', async () => {
    const { story, session, client } = told()
    ask(client, session, 'a')
    session.append('task_executing', { command: 'a' })
    session.append('task_failed', { command: 'a', code: 'quarantined' })
    expect(await broken(story)).toEqual(['G1'])

    client.lines.push({ kind: 'sent', client: 'c1', at: story.tick(), command: 'a', type: 'execute', poison: true })
    expect(await broken(story)).toEqual([])
  })

  test('a harmless command is set aside as promised when another fault ended one of its workers', async () => {
    const { story, session, client } = told()
    ask(client, session, 'a')
    session.append('task_executing', { command: 'a' })
    for (const from of ['w@1', 'w@2', 'w@3']) session.append('session_takeover', { command: 'a', from })
    session.append('task_failed', { command: 'a', code: 'quarantined' })
    expect(await broken(story)).toEqual(['G1'])

    story.fault({ test: 'T1', fault: 'worker-kill', node: 'w@2', began: story.at, healed: story.at })
    expect(await broken(story)).toEqual([])
  })

  test('a command that ends a minute after the last fault has healed is lost', async () => {
    const { story, session, client } = told()
    ask(client, session, 'a')
    story.fault({ test: 'T5', fault: 'redis-kill', began: story.at, healed: story.at })
    story.at += 61_000
    perform(session, 'a')
    client.catchUp(session)
    expect(await broken(story)).toEqual(['G1'])

    story.faults[0] = { ...story.faults[0], healed: story.at - 1_000 } as never
    expect(await broken(story)).toEqual([])
  })

  test('a control command is answered by its own update, or by the end of its session', async () => {
    const { story, session, client } = told()
    for (const command of ['stop-1', 'stop-2']) {
      client.send(command, 'stop', session)
      client.accepted(command, session)
    }
    session.append('session_status_update', { command: 'stop-1', status: 'active' })
    expect(await broken(story)).toEqual(['G1'])

    session.append('session_status_update', { command: 'stop-1', status: 'terminated' })
    expect(await broken(story)).toEqual([])
  })
})

describe('G2', () => {
  test('a command begins once, over all epochs', async () => {
    const { story, session, client } = told()
    ask(client, session, 'a')
    session.append('task_executing', { command: 'a' })
    session.epoch = 2
    session.append('session_takeover', { command: 'a', from: 'w1', to: 'w2', attempt: 1 })
    session.append('task_completed', { command: 'a' })
    expect(await broken(story)).toEqual([])

    perform(session, 'a')
    expect(await broken(story)).toEqual(['G2'])
  })

  test('a command runs in one session, the one that its client was told of', async () => {
    const { story, session } = told()
    const twin = story.session()
    twin.append('session_spawned', { command: 'spawn' })
    expect(await broken(story)).toEqual(['G2'])

    story.sessions.pop()
    const client = story.client()
    client.send('spawn', 'spawn')
    client.accepted('spawn', session, true)
    expect(await broken(story)).toEqual([])
    client.accepted('spawn', twin, true)
    expect(await broken(story)).toEqual(['G2'])
  })

  test.each([
    ['a message begins', ['stream_start', 'stream_end', 'stream_start']],
    ['a message ends', ['stream_start', 'stream_end', 'stream_end']],
    ['a tool call begins', ['tool_call_start', 'tool_call_start']],
    ['a tool call ends', ['tool_call_start', 'tool_call_result', 'tool_call_result']],
  ] as const)('%s once', async (_what, types) => {
    const { story, session, client } = told()
    ask(client, session, 'a')
    session.append('task_executing', { command: 'a' })
    for (const type of types) session.append(type, { command: 'a', message: 'm', call: 'x' })
    session.append('task_completed', { command: 'a' })

    expect(await broken(story)).toEqual(['G2'])
  })

  test('nothing of a command is recorded behind its end', async () => {
    const { story, session, client } = told()
    ask(client, session, 'a')
    perform(session, 'a')
    session.append('tool_call_start', { command: 'a', call: 'x' })

    expect(await broken(story)).toEqual(['G2'])
  })
})

describe('G3', () => {
  test('Redis and Postgres hold one story together, each a part of it', async () => {
    const { story, session } = told()
    session.floor = 1
    session.projected = 2
    expect(await broken(story)).toEqual([])

    session.floor = 2
    session.projected = 1
    expect(await broken(story)).toContain('G3')
  })

  test('bytes that differ are named', async () => {
    const { story, session } = told()
    const lines = story.lines()
    const at = lines.log.findIndex(({ store, event }) => store === 'redis' && event === '1-2')
    lines.log[at] = { ...lines.log[at], hash: 7 } as never

    const { guarantees } = await checkHistory({ ...story.history(), log: [lines.log] })

    const g3 = guarantees.find(({ guarantee }) => guarantee === 'G3')
    expect(g3?.examples).toEqual([
      {
        what: `session ${session.id}: Redis and Postgres hold different bytes of 1-2`,
        excerpt: [
          'log s1  1-1 session_spawned of spawn (Redis and Postgres)',
          'log s1  1-2 task_executing of spawn (Postgres)',
          'log s1  1-3 task_completed of spawn (Postgres)',
        ],
      },
    ])
  })

  test('a number belongs to one event, also when another epoch wrote it', async () => {
    const { story } = told()
    const lines = story.lines()
    const log = lines.log.map((line) =>
      line.store === 'redis' && line.event === '1-3' ? { ...line, event: '2-3' } : line,
    )

    const { guarantees } = await checkHistory({ ...story.history(), log: [log] })

    expect(guarantees.find(({ guarantee }) => guarantee === 'G3')?.examples[0]?.what).toContain(
      '1-3 and 2-3 have one number',
    )
  })

  test('epochs do not fall', async () => {
    const { story, session, client } = told()
    session.epoch = 3
    ask(client, session, 'a')
    perform(session, 'a')
    expect(await broken(story)).toEqual([])

    session.epoch = 2
    ask(client, session, 'b')
    perform(session, 'b')
    expect(await broken(story)).toEqual(['G3'])
  })

  test('an event that is stored under another id than its own is named', async () => {
    const { story } = told()
    const log = story.lines().log.map((line) => (line.event === '1-3' ? { ...line, named: '1-2' } : line))

    const { guarantees } = await checkHistory({ ...story.history(), log: [log] })

    expect(guarantees.find(({ guarantee }) => guarantee === 'G3')?.examples[0]?.what).toContain('calls itself 1-2')
  })
})

describe('G4', () => {
  test('a client that comes back goes on exactly where it was', async () => {
    const { story, session, client } = told()
    client.disconnect()
    ask(client, session, 'a')
    perform(session, 'a')
    client.connect('edge-2')
    client.resume(session)
    client.catchUp(session)
    client.close()
    expect(await broken(story)).toEqual([])

    client.lines.splice(client.lines.findLastIndex(({ kind }) => kind === 'event') - 1, 1)
    expect(await broken(story)).toEqual(['G4'])
  })

  test('an event that comes twice is named, and one that is not in the log', async () => {
    const { story, session, client } = told()
    const last = session.events.at(-1)
    if (last) client.see(session, last)
    expect(await broken(story)).toEqual(['G4'])

    client.lines.pop()
    expect(await broken(story)).toEqual([])
    client.see(session, { epoch: 1, seq: 4, type: 'task_executing', hash: 5, details: {}, text: '' })
    expect(await broken(story)).toEqual(['G4'])
  })

  test('a client that stays until the end has everything', async () => {
    const { story, session, client } = told()
    ask(client, session, 'a')
    perform(session, 'a')
    client.close(false)
    expect(await broken(story)).toEqual([])

    client.lines.pop()
    client.close(true)
    expect(await broken(story)).toEqual(['G4'])
  })

  test('a client that has left and comes back starts where it is told', async () => {
    const { story, session, client } = told()
    client.lines.push({ kind: 'left', client: 'c1', at: story.tick(), session: session.id })
    ask(client, session, 'a')
    perform(session, 'a')
    client.place(session).seq = session.events.length
    client.resume(session)
    client.close()
    expect(await broken(story)).toEqual([])

    client.lines.splice(
      client.lines.findIndex(({ kind }) => kind === 'left'),
      1,
    )
    expect(await broken(story)).toEqual(['G4'])
  })

  test('a reset replaces what the client has', async () => {
    const { story, session, client } = told()
    ask(client, session, 'a')
    perform(session, 'a')
    client.reset(session)
    client.close()

    expect(await broken(story)).toEqual([])
  })

  test('text comes whole and once before the end of its message', async () => {
    const { story, session, client } = told()
    ask(client, session, 'a')
    session.append('task_executing', { command: 'a' })
    session.append('stream_start', { command: 'a', message: 'm' })
    client.catchUp(session)
    client.seeText(session, 'm', 'Grü')
    client.seeText(session, 'm', 'Grüße')
    client.see(session, session.append('stream_end', { command: 'a', message: 'm' }, 'Grüße an alle'))
    client.see(session, session.append('task_completed', { command: 'a' }))
    client.close()
    expect(await broken(story)).toEqual([])

    const pieces = client.lines.filter(({ kind }) => kind === 'text')
    expect(pieces).toHaveLength(3)
    for (const piece of pieces) {
      const lines = story.lines()
      lines.clients = [client.lines.filter((line) => line !== piece)]
      const without = await checkHistory({ ...story.history(), clients: lines.clients.map((each) => [each]) })
      expect(without.guarantees.filter(({ violated }) => violated > 0).map((each) => each.guarantee)).toEqual(['G4'])
    }
  })
})

describe('G5', () => {
  function lost(): ReturnType<typeof told> {
    const it = told()
    const { story, session, client } = it
    ask(client, session, 'a')
    client.see(session, session.append('task_executing', { command: 'a' }))
    story.fault({ test: 'T6', fault: 'redis-failover', began: story.tick(), healed: story.tick(), losesWrites: true })
    session.events.pop()
    session.epoch = 2
    return it
  }

  test('what was lost and is replaced needs a reset', async () => {
    const { story, session, client } = lost()
    const [begin, end] = [
      session.append('task_executing', { command: 'a' }),
      session.append('task_completed', { command: 'a' }),
    ]
    client.see(session, begin)
    client.see(session, end)
    expect(await broken(story)).toEqual(['G5'])
  })

  test('a client that was reset knows', async () => {
    const { story, session, client } = lost()
    perform(session, 'a')
    client.reset(session)
    client.close()

    expect(await broken(story)).toEqual([])
  })

  test('what was lost and never replaced needs a reset too', async () => {
    const { story, client } = lost()
    client.close()
    // The command was lost with it, and is nobody's any more.
    client.lines.splice(
      client.lines.findIndex((line) => line.kind === 'accepted' && line.command === 'a'),
      1,
    )

    expect(await broken(story)).toEqual(['G5'])
  })

  test('what was restored with its id and bytes needs nothing', async () => {
    const { story, session, client } = lost()
    session.epoch = 1
    perform(session, 'a')
    client.catchUp(session)
    client.close()

    expect(await broken(story)).toEqual([])
    expect(await checkedCases(story, 'G5')).toBeGreaterThan(0)
  })
})

describe('G6', () => {
  test('tasks begin in the order in which one connection heard of their acceptance', async () => {
    const { story, session, client } = told()
    for (const command of ['a', 'b']) client.send(command, 'execute', session)
    for (const command of ['a', 'b']) client.accepted(command, session)
    perform(session, 'b')
    perform(session, 'a')
    expect(await broken(story)).toEqual(['G6'])

    // A repeated command was accepted before, nobody knows when.
    client.lines.pop()
    client.accepted('b', session, true)
    expect(await broken(story)).toEqual([])
  })

  test('a task that was accepted before another was sent, by whomever, begins before it', async () => {
    const { story, session, client } = told()
    const other = story.client()
    other.send('a', 'execute', session)
    other.accepted('a', session)
    ask(client, session, 'b')
    perform(session, 'b')
    perform(session, 'a')
    expect(await broken(story)).toEqual(['G6'])
  })

  test('acceptances that a failover may have lost prove no order', async () => {
    const { story, session, client } = told()
    for (const command of ['a', 'b']) ask(client, session, command)
    story.fault({ test: 'T6', fault: 'redis-failover', began: story.at, healed: story.at, losesWrites: true })
    perform(session, 'b')
    perform(session, 'a')

    expect(await broken(story)).toEqual([])
  })

  test('one task runs at a time', async () => {
    const { story, session, client } = told()
    for (const command of ['a', 'b']) ask(client, session, command)
    for (const command of ['a', 'b']) session.append('task_executing', { command })
    for (const command of ['a', 'b']) session.append('task_completed', { command })

    expect(await broken(story)).toEqual(['G6'])
  })

  test('a command that was only ever refused as busy has not run', async () => {
    const { story, session, client } = told()
    client.send('a', 'execute', session)
    client.refused('a')
    expect(await broken(story)).toEqual([])

    perform(session, 'a')
    expect(await broken(story)).toEqual(['G6'])

    client.send('a', 'execute', session)
    expect(await broken(story)).toEqual([])
  })
})

describe('G7', () => {
  function asked(): ReturnType<typeof told> {
    const it = told()
    ask(it.client, it.session, 'a')
    it.session.append('task_executing', { command: 'a' })
    it.session.append('stream_start', { command: 'a', message: 'm' })
    it.story.model('a', 0, 'gone')
    it.story.model('a', 0)
    return it
  }

  const finish = (session: StorySession): void => {
    session.append('stream_end', { command: 'a', message: 'm' }, 'text')
    session.append('task_completed', { command: 'a' })
  }

  test('a model is asked again only after a crash', async () => {
    const calm = asked()
    finish(calm.session)
    expect(await broken(calm.story)).toEqual(['G7'])

    const { story, session } = asked()
    session.epoch = 2
    session.append('session_takeover', { command: 'a', from: 'w1', to: 'w2', attempt: 1 })
    finish(session)
    expect(await broken(story)).toEqual([])
  })

  test('an answer that the provider cut is asked for again', async () => {
    const { story, session } = asked()
    finish(session)
    story.models[0] = { ...story.models[0], outcome: 'cut' } as never

    expect(await broken(story)).toEqual([])
  })

  test('a fault of the store may make a worker take up its own session', async () => {
    const { story, session } = asked()
    finish(session)
    story.fault({ test: 'T5', fault: 'redis-kill', began: story.at - 2, healed: story.at })

    expect(await broken(story)).toEqual([])
  })

  test('text that was seen is not taken back', async () => {
    const { story, session, client } = told()
    ask(client, session, 'a')
    session.append('task_executing', { command: 'a' })
    session.append('stream_start', { command: 'a', message: 'm' })
    client.catchUp(session)
    client.seeText(session, 'm', 'seen')
    client.see(session, session.append('stream_end', { command: 'a', message: 'm' }, 'sean'))
    session.append('task_completed', { command: 'a' })

    expect(await broken(story)).toEqual(['G7'])
  })
})

describe('G8', () => {
  function called(intent: boolean): Story {
    const { story, session, client } = told()
    ask(client, session, 'a')
    session.append('task_executing', { command: 'a' })
    if (intent) session.append('tool_call_start', { command: 'a', call: 'x', effect: 'once' })
    session.append('task_completed', { command: 'a' })
    story.effect('a', 'x')
    return story
  }

  test('a once tool runs once for each call', async () => {
    const story = called(true)
    expect(await broken(story)).toEqual([])
    story.effect('a', 'x')
    expect(await broken(story)).toEqual(['G8'])
  })

  test('others may run again', async () => {
    const story = called(true)
    for (const kind of ['read', 'read', 'idempotent', 'idempotent'] as const) story.effect('a', 'y', kind)
    expect(await broken(story)).toEqual([])
  })

  test('the intent is recorded first; a log that may have lost it proves nothing', async () => {
    const story = called(false)
    expect(await broken(story)).toEqual(['G8'])
    story.fault({ test: 'T6', fault: 'redis-failover', began: story.at, healed: story.at, losesWrites: true })
    expect(await broken(story)).toEqual([])
  })
})

describe('G9', () => {
  function frozen(seconds: number): { story: Story; began: number } {
    const { story } = told()
    const began = story.tick()
    story.fault({
      test: 'T4',
      fault: 'worker-freeze',
      node: 'w1',
      began,
      healed: began + seconds * 1_000,
      isolated: true,
    })
    return { story, began }
  }

  const effectAt = (story: Story, at: number, node = 'w1'): void => {
    story.effects.push({ kind: 'effect', command: 'spawn', call: 'r', class: 'read', hash: 1, node, at })
  }

  test('a worker that is cut off starts nothing after two seconds and the time of its tools', async () => {
    const { story, began } = frozen(10)
    effectAt(story, began + 2_000)
    effectAt(story, began + 5_000, 'w2')
    expect(await broken(story)).toEqual([])
    expect(await checkedCases(story, 'G9')).toBe(1)

    effectAt(story, began + 5_000)
    expect(await broken(story)).toEqual(['G9'])
  })

  test('a model call counts like an effect, without the time of tools', async () => {
    const { story, began } = frozen(10)
    story.models.push({
      kind: 'model',
      command: 'spawn',
      step: 0,
      node: 'w1',
      began: began + 2_800,
      ended: began + 2_900,
      outcome: 'complete',
    })

    expect(await broken(story)).toEqual(['G9'])
  })

  test('a worker that comes back alive goes on', async () => {
    const { story, began } = frozen(3)
    for (const at of [4_000, 5_000, 6_000]) effectAt(story, began + at)

    expect(await broken(story)).toEqual([])
  })

  test('a worker that others have replaced starts nothing more but one request that had passed its check', async () => {
    const { story, began } = frozen(5)
    const session = story.session()
    session.append('session_spawned', { command: 'x' })
    session.append('task_executing', { command: 'x' })
    session.append('session_takeover', { command: 'x', from: 'w1', to: 'w2', attempt: 1 })
    session.append('task_completed', { command: 'x' })
    effectAt(story, began + 5_001)
    expect(await broken(story)).toEqual([])

    effectAt(story, began + 5_002)
    expect(await broken(story)).toEqual(['G9'])
  })

  test('a worker that a later fault finds alive was not replaced after the one before', async () => {
    const { story, began } = frozen(3)
    const session = story.session()
    session.append('session_spawned', { command: 'x' })
    session.append('task_executing', { command: 'x' })
    session.append('session_takeover', { command: 'x', from: 'w1', to: 'w2', attempt: 1 })
    session.append('task_completed', { command: 'x' })
    for (const at of [4_000, 5_000, 6_000]) effectAt(story, began + at)
    const again = { began: began + 7_000, healed: began + 14_000 }
    story.fault({ test: 'T4', fault: 'worker-freeze', node: 'w1', isolated: true, ...again })
    expect(await broken(story)).toEqual([])

    for (const at of [15_000, 16_000]) effectAt(story, began + at)
    expect(await broken(story)).toEqual(['G9'])
  })
})
