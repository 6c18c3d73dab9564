/**
 * What every session type promises: the same story of a task in the log, the same text for clients, and a session that
 * outlives cancelled tasks, failed tasks and workers.
 */
import { describe, expect, test } from 'vitest'
import type { TestSession } from '../../support/worker-cluster.js'
import { CANDIDATES, clusterFor } from './candidates.js'

/** What clients have seen of each message is what the log says of it. */
function textsAreLogged({ events, texts }: TestSession): void {
  const ends = events.filter((event) => event.type === 'stream_end')
  for (const { messageId, text } of ends) expect(texts.get(messageId) ?? '').toBe(text)
  expect(new Set(ends.map(({ messageId }) => messageId))).toEqual(
    new Set(events.flatMap((event) => (event.type === 'stream_start' ? [event.messageId] : []))),
  )
}

describe.each(CANDIDATES)('$type', (candidate) => {
  const { type, quick, slow, slowAnswer, tool, fail } = candidate

  test('a task runs from its announcement to its end, and the next one follows', async () => {
    const cluster = await clusterFor(candidate)
    const session = await cluster.spawn(type, { description: quick })
    const first = await session.event('task_completed')
    await session.execute({ description: quick })
    const second = await session.event('task_completed', 1)

    expect(session.events.slice(0, 2).map((event) => event.type)).toEqual(['session_spawned', 'task_executing'])
    expect(first.result.output).not.toBe('')
    expect(second.result.output).toBe(first.result.output)
    expect(session.events.filter((event) => event.type === 'task_executing').map(({ turn }) => turn)).toEqual([1, 2])
    textsAreLogged(session)
  })

  test('text is streamed while it is written, and logged whole', async () => {
    const cluster = await clusterFor(candidate)
    const session = await cluster.spawn(type, { description: slow })
    await session.textBegins()
    expect(session.events.map((event) => event.type)).not.toContain('stream_end')

    await session.event('task_completed')

    expect((await session.event('stream_end')).text).toMatch(slowAnswer)
    textsAreLogged(session)
  })

  test.runIf(tool)('a tool call is on record before it runs, and its result before the model goes on', async () => {
    const cluster = await clusterFor(candidate)
    const session = await cluster.spawn(type, { description: tool?.task ?? '' })
    await session.event('task_completed')

    const types = session.events.map((event) => event.type)
    const from = types.indexOf('stream_end')
    expect(types.slice(from, from + 4)).toEqual(['stream_end', 'tool_call_start', 'tool_call_result', 'stream_start'])
    const asked = await session.event('stream_end')
    expect(asked).toMatchObject({ finishReason: 'tool_calls', toolCalls: [{ name: tool?.name }] })
    const { callId } = asked.toolCalls[0] ?? {}
    expect((await session.event('tool_call_start')).data).toMatchObject({ callId, toolName: tool?.name })
    expect((await session.event('tool_call_result')).data).toMatchObject({ callId, status: 'completed' })
    textsAreLogged(session)
  })

  test('a cancelled task ends at once, and the session takes the next one', async () => {
    const cluster = await clusterFor(candidate)
    const session = await cluster.spawn(type, { description: slow })
    await session.textBegins()
    await session.control('cancel')
    await session.event('task_cancelled')
    const seen = session.events.length

    await session.execute({ description: quick })
    await session.event('task_completed')

    // The end of the control command and the next task: nothing more of the cancelled one.
    const later = session.events.slice(seen).filter(({ type: it }) => it !== 'session_status_update')
    expect(later[0]?.type).toBe('task_executing')
    textsAreLogged(session)
  })

  test('another worker goes on where clients saw the text end', async () => {
    const cluster = await clusterFor(candidate)
    const session = await cluster.spawn(type, { description: slow })
    await expect.poll(() => [...session.texts.values()].join('').length, { timeout: 20_000 }).toBeGreaterThan(40)
    await cluster.takeOver(`${type}-2`)

    const done = await session.event('task_completed')

    expect(done.type).toBe('task_completed')
    expect(await session.event('session_takeover')).toMatchObject({ attempt: 1 })
    expect((await session.event('stream_end')).text).toMatch(slowAnswer)
    textsAreLogged(session)
  })

  test('a task that fails says why, and the session takes the next one', async () => {
    const cluster = await clusterFor(candidate)
    const session = await cluster.spawn(type, { description: fail.task })
    const failed = await session.event('task_failed')
    expect(failed.code).toBe(fail.code)
    expect(failed.error).not.toBe('')

    await session.execute({ description: quick })

    await session.event('task_completed')
    textsAreLogged(session)
  })
})
