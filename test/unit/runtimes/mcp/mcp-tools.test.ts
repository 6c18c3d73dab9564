/**
 * What the tools of an MCP server are to a session, over stdio and over HTTP.
 */
import { describe, expect, test, vi } from 'vitest'
import type { McpServers } from '../../../../src/runtimes/mcp/servers.js'
import { OUTCOME_UNKNOWN } from '../../../../src/runtimes/prompt.js'
import { serversOf, startHttpServer, stdioServer } from '../../../support/mcp/servers.js'
import { RecordedSpans } from '../../../support/recorded-spans.js'
import type { Entry } from '../recorded-turn.js'
import { attachedSession, call } from './attached-session.js'

vi.setConfig({ testTimeout: 60_000 })

const KINDS: readonly (readonly [string, (more?: object) => Promise<McpServers>])[] = [
  ['stdio', async (more = {}) => serversOf({ it: stdioServer('', more) })],
  ['http', async (more = {}) => serversOf({ it: { url: (await startHttpServer()).url, ...more } })],
]

describe.each(KINDS)('over %s', (_kind, servers) => {
  test('tools of a server are offered under its name with their schemas, and run', async () => {
    const session = await attachedSession(await servers(), ['it'])

    const { ended, outcomes } = await session.run([[call('mcp__it__look', { n: 1 })]])
    const { output } = await ended

    expect(output).toBe('done')
    expect(outcomes()).toEqual({
      mcp__it__look: { status: 'completed', result: { content: 'done with key none' } },
    })
    expect(session.offered()).toEqual(
      ['look', 'put', 'post', 'trigger', 'environment', 'fail', 'die', 'hang', 'much', 'endless']
        .map((name) => `mcp__it__${name}`)
        .concat([expect.stringMatching(/^mcp__it__odd_name_with_spaces_[0-9a-f]{6}$/)]),
    )
    const post = session.requests[0]?.tools.find(({ name }) => name === 'mcp__it__post')
    expect(post).toEqual({
      name: 'mcp__it__post',
      description: 'Adds something',
      parameters: { type: 'object', properties: { url: { type: 'string' }, n: { type: 'number' } } },
    })
    expect(session.warn.mock.calls).toEqual([
      [expect.objectContaining({ leftOut: ['large_schema'] }), expect.stringContaining('too large')],
    ])
  })

  test('the class of a call is what the server says of the tool, and an idempotent one carries its key', async () => {
    const session = await attachedSession(await servers(), ['it'])

    const names = ['look', 'put', 'post'].map((name) => `mcp__it__${name}`)
    const { ended, entries, outcomes } = await session.run([names.map((name) => call(name))])
    await ended

    const effects = entries.flatMap((entry) => (entry.type === 'toolStarted' ? [entry.effect] : []))
    expect(effects).toEqual(['read', 'idempotent', 'once'])
    expect(outcomes()).toMatchObject({
      mcp__it__put: { result: { content: 'done with key session_000_test:1:mcp__it__put' } },
      mcp__it__post: { result: { content: 'done with key none' } },
    })
  })

  test('a traced call tells the server where in the trace it stands', async () => {
    const session = await attachedSession(await servers(), ['it'])
    const spans = new RecordedSpans()

    const { ended, outcomes } = await session.run([[call('mcp__it__look')]], { trace: spans.root })
    await ended

    const [tool] = spans.named('execute_tool mcp__it__look')
    expect(tool).toMatchObject({ parent: spans.root.traceparent, error: undefined, isOver: true })
    expect(outcomes()).toMatchObject({
      mcp__it__look: { result: { content: `done with key none in ${tool?.traceparent}` } },
    })
  })

  test('the operator decides which tools are offered, and their classes', async () => {
    const policy = { tools: ['look', 'put'], effect: 'once', effects: { put: 'read' } }
    const session = await attachedSession(await servers(policy), ['it'])

    const { ended, entries } = await session.run([[call('mcp__it__look'), call('mcp__it__put')]])
    await ended

    expect(session.offered()).toEqual(['mcp__it__look', 'mcp__it__put'])
    const effects = entries.flatMap((entry) => (entry.type === 'toolStarted' ? [entry.effect] : []))
    expect(effects).toEqual(['once', 'read'])
  })

  test('a failure of the tool, an answer that is too long and a call without an answer are told to the model', async () => {
    const session = await attachedSession(await servers({ timeout: 500 }), ['it'])

    const names = ['fail', 'much', 'hang'].map((name) => `mcp__it__${name}`)
    const { ended, outcomes } = await session.run([names.map((name) => call(name))])
    await ended

    expect(outcomes()).toEqual({
      mcp__it__fail: { status: 'failed', error: 'the cause' },
      mcp__it__much: {
        status: 'completed',
        result: { content: expect.stringContaining('bytes left out'), truncated: true },
      },
      mcp__it__hang: { status: 'failed', error: 'The call failed: no answer within 500 ms.' },
    })
  })

  test('a server that ends while a call runs fails that call, and the next one finds it again', async () => {
    const session = await attachedSession(await servers(), ['it'])

    const { ended, outcomes } = await session.run([[call('mcp__it__die')], [call('mcp__it__look')]])
    await ended

    expect(outcomes()).toEqual({
      mcp__it__die: {
        status: 'failed',
        error: expect.stringMatching(
          /^The call failed: (the server it has ended: .*code 3|socket hang up)\. Its outcome is unknown: check/,
        ),
      },
      mcp__it__look: { status: 'completed', result: { content: 'done with key none' } },
    })
  })

  test('an endless answer is given up, and the server can be used again', async () => {
    const session = await attachedSession(await servers(), ['it'])

    const { ended, outcomes } = await session.run([[call('mcp__it__endless')], [call('mcp__it__look')]])
    await ended

    expect(outcomes()).toMatchObject({
      mcp__it__endless: { status: 'failed', error: expect.stringContaining('has ended') },
      mcp__it__look: { status: 'completed' },
    })
  })

  test('a cancelled turn ends while a call runs', async () => {
    const session = await attachedSession(await servers(), ['it'])
    const { ended, entries, abort } = await session.run([[call('mcp__it__hang')]])
    await expect.poll(() => entries.at(-1)?.type, { timeout: 20_000 }).toBe('toolStarted')

    abort.abort({ kind: 'cancelled' })

    await expect(ended).rejects.toEqual({ kind: 'cancelled' })
  })

  test('a next owner repeats what the server calls repeatable, and nothing else', async () => {
    const calls = ['look', 'put', 'post'].map((name) => call(`mcp__it__${name}`))
    const classes = ['read', 'idempotent', 'once'] as const
    const left: Entry[] = [
      { type: 'messageStarted', model: 'm' },
      { type: 'messageEnded', toolCalls: calls, finishReason: 'tool_calls', cost: 0, tokens: 0 },
      ...calls.map((one, index): Entry => ({ type: 'toolStarted', call: one, effect: classes[index] ?? 'once' })),
    ]
    const session = await attachedSession(await servers(), ['it'])

    const { ended, outcomes } = await session.run([[]], { entries: left, epoch: 2 })
    await ended

    expect(outcomes()).toMatchObject({
      mcp__it__look: { status: 'completed' },
      mcp__it__put: { status: 'completed', result: { content: 'done with key session_000_test:1:mcp__it__put' } },
      mcp__it__post: OUTCOME_UNKNOWN,
    })
  })
})
