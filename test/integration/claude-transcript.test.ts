/**
 * Sessions of Claude Code whose conversation cannot be gone on with: it begins anew, everybody sees it, and the session stays
 * usable.
 */
import { type RawBuilder, sql } from 'kysely'
import { expect, test, vi } from 'vitest'
import { type ClaudeCluster, claudeCluster } from '../support/claude-cluster.js'
import type { Asked, Says } from '../support/claude-vendor.js'
import type { TestSession } from '../support/worker-cluster.js'

const polite = ({ last }: Asked): Says => ({
  text: /Task: (second|third)/.test(last) ? 'All done, friend.' : 'I will.',
})

/** A session that has carried out one task, and whose process is gone. */
async function resting(script: (asked: Asked) => Says): Promise<ClaudeCluster & { readonly session: TestSession }> {
  const made = await claudeCluster(script)
  await made.cluster.takeOver('worker-1')
  const session = await made.cluster.spawn('claude-code', { description: 'remember the word quince' })
  await session.event('task_completed')
  made.sessions.forget(session.id)
  await vi.waitFor(() => expect(made.sessions.pids()).toEqual([]), { timeout: 30_000 })
  return { ...made, session }
}

const retold = (session: TestSession) => session.events.filter(({ type }) => type === 'conversation_retold')

test.each<[string, RawBuilder<unknown>, RegExp]>([
  ['no JSON', sql`update transcript_entries set body = '{"type":"us'`, /of the \d+ entries .* cannot be read/],
  ['no entries', sql`update transcript_entries set body = '42'`, /cannot be read/],
  ['broken in one place', sql`update transcript_entries set body = '{' where seq = 3`, /^1 of the \d+ entries/],
  ['nothing that Claude Code knows', sql`update transcript_entries set body = '{"type":"user","message":7}'`, /./],
])('a conversation that is %s begins anew, with what was said before', async (_what, harm, reason) => {
  const { cluster, vendor, session } = await resting(polite)
  await harm.execute(cluster.database.sql)

  await session.execute({ description: 'second' })
  const second = await session.event('task_completed', 1)
  const asked = vendor.asked.at(-1)
  await session.execute({ description: 'third' })
  await session.event('task_completed', 2)

  expect(second.result.output).toBe('All done, friend.')
  expect(retold(session)).toEqual([expect.objectContaining({ reason: expect.stringMatching(reason) })])
  expect(asked?.last).toMatch(/remember the word quince.*You: I will\..*Task: second/s)
  expect(asked?.all).not.toContain('"role":"assistant"')
  expect(session.events.some(({ type }) => type === 'task_failed')).toBe(false)
})

test('what has begun anew is gone on with by the next owner', async () => {
  const { cluster, vendor, session } = await resting(polite)
  await sql`update transcript_entries set body = 'x'`.execute(cluster.database.sql)
  await session.execute({ description: 'second' })
  await session.event('task_completed', 1)

  await cluster.takeOver('worker-2')
  await session.execute({ description: 'third' })
  await session.event('task_completed', 2)

  expect(vendor.asked.at(-1)?.all).toMatch(/"role":"assistant".*All done, friend/)
  expect(vendor.asked.at(-1)?.all).toContain('quince')
  expect(retold(session)).toHaveLength(1)
})

test('a conversation that the vendor does not take any more fails one task, and the next one begins it anew', async () => {
  let isSpoiled = false
  const { session, vendor } = await resting((asked) =>
    isSpoiled && asked.all.includes('"role":"assistant"')
      ? { fail: { status: 400, type: 'invalid_request_error', message: 'messages.1: unexpected block' } }
      : polite(asked),
  )
  isSpoiled = true

  await session.execute({ description: 'second' })
  const failed = await session.event('task_failed')
  isSpoiled = false
  await session.execute({ description: 'third' })
  const done = await session.event('task_completed', 1)

  expect(failed).toMatchObject({ code: 'model_invalid_request', error: expect.stringContaining('unexpected block') })
  expect(done.result.output).toBe('All done, friend.')
  expect(retold(session)).toEqual([expect.objectContaining({ reason: 'the vendor did not take it any more' })])
  expect(vendor.asked.at(-1)?.last).toContain('quince')
})

test('a model that does not answer for another reason keeps its conversation', async () => {
  let isUnknown = false
  const { session, vendor } = await resting((asked) =>
    isUnknown ? { fail: { status: 404, type: 'not_found_error', message: 'no such model' } } : polite(asked),
  )
  isUnknown = true
  await session.execute({ description: 'second' })
  await session.event('task_failed')
  isUnknown = false

  await session.execute({ description: 'third' })
  await session.event('task_completed', 1)

  expect(retold(session)).toEqual([])
  expect(vendor.asked.at(-1)?.all).toMatch(/"role":"assistant"/)
})
