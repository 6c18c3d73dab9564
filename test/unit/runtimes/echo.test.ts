import { expect, test } from 'vitest'
import { Echo } from '../../../src/runtimes/echo.js'
import { Runtimes } from '../../../src/runtimes/select.js'
import { type Entry, recordedTurn, textsOf, typesOf } from './recorded-turn.js'

const echo = new Echo()

test('a plain task comes back as it is, without a journal entry', async () => {
  const { turn, entries, effects } = await recordedTurn({ task: 'hello' })
  expect(await echo.run(turn)).toEqual({ output: 'hello' })
  expect([entries, effects()]).toEqual([[], 0])
})

test('with bytes the result has that many bytes', async () => {
  const { turn, entries } = await recordedTurn({ task: JSON.stringify({ bytes: 1000 }) })
  expect((await echo.run(turn)).output).toHaveLength(1000)
  expect(entries).toEqual([])
})

test('with count one message is streamed in that many chunks of that size', async () => {
  const { turn, entries } = await recordedTurn({
    task: { description: 'load', metadata: { echo: { count: 200, bytes: 32 } } },
  })

  expect(await echo.run(turn)).toEqual({ output: 'echoed 200 chunks' })

  const texts = entries.flatMap((entry) => (entry.type === 'text' ? [entry.text] : []))
  expect(texts).toHaveLength(200)
  expect(texts.every((text, i) => text.length === 32 && text.startsWith(`${i + 1}`))).toBe(true)
  expect(typesOf(entries)).toEqual(['messageStarted', 'messageEnded'])
})

test.each([0, 1, 31, 32, 33, 200])(
  'a message of which %i characters were shown is continued exactly',
  async (shown) => {
    const task = JSON.stringify({ count: 7, bytes: 32 })
    const whole = await recordedTurn({ task })
    await echo.run(whole.turn)
    const entries: Entry[] = [{ type: 'messageStarted', model: 'echo' }]
    if (shown > 0) entries.push({ type: 'text', text: textsOf(whole.entries).slice(0, shown) })
    const rest = await recordedTurn({ task, entries })

    await echo.run(rest.turn)

    expect(textsOf(rest.entries)).toBe(textsOf(whole.entries))
    expect(typesOf(rest.entries)).toEqual(['messageStarted', 'messageEnded'])
  },
)

test('cancelling ends the wait between two chunks', async () => {
  const { turn, entries, abort } = await recordedTurn({ task: JSON.stringify({ count: 3, delayMs: 60_000 }) })
  const run = echo.run(turn)
  await expect.poll(() => typesOf(entries)).toEqual(['messageStarted'])

  abort.abort()

  await expect(run).rejects.toMatchObject({ name: 'AbortError' })
})

test.each([
  { count: 0 },
  { count: 100_001 },
  { bytes: 65_537 },
  { delayMs: 60_001 },
  { count: 100_000, bytes: 65_536 },
  { count: 'x' },
])('settings out of bounds are refused with the reason: %j', async (settings) => {
  const { turn } = await recordedTurn({ task: JSON.stringify(settings) })
  await expect(echo.run(turn)).rejects.toMatchObject({
    code: 'invalid_payload',
    message: expect.stringMatching(/echo: /),
  })
})

test('a description that only looks like settings is text', async () => {
  const { turn } = await recordedTurn({ task: '{not json' })
  expect(await echo.run(turn)).toEqual({ output: '{not json' })
})

test('a session type without a runtime is refused with the types that there are', () => {
  const runtimes = new Runtimes({ echo })
  expect(runtimes.of('echo')).toBe(echo)
  expect(() => runtimes.of('claude-code')).toThrow(
    'Sessions of type claude-code cannot run here: this worker has runtimes for echo',
  )
})
