/**
 * What is left of a session over HTTP (row H-04): its events page by page, what was said, its files.
 */
import { createHash } from 'node:crypto'
import { beforeAll, expect, test, vi } from 'vitest'
import { Workspaces } from '../../../src/storage/workspaces.js'
import { startEdge } from '../wire/edge-fixture.js'
import { allPages, type House, openHouse, Requester } from './http-fixture.js'

const PATIENCE = { timeout: 15_000, interval: 20 } as const
let house: House
let alice: Requester
beforeAll(async () => {
  house = await openHouse()
  alice = await house.as('alice', 'acme', 'admin')
})

interface Event {
  readonly eventId: string
  readonly type: string
}

async function allEvents(asker: Requester, id: string, limit: number): Promise<Event[]> {
  const found: Event[] = []
  for (let after = '0-0'; ; ) {
    const { body } = await asker.get(`/api/sessions/${id}/events?after=${after}&limit=${limit}`)
    found.push(...body.events)
    if (!body.more) return found
    after = body.next
  }
}

const seqOf = ({ eventId }: Event): number => Number(eventId.split('-')[1])

test('H-04: events are read page by page, from the first to the last', async () => {
  const id = await alice.spawn({ task: '{"count":4}' })
  await vi.waitFor(
    async () => expect((await allEvents(alice, id, 500)).map(({ type }) => type)).toContain('task_completed'),
    PATIENCE,
  )

  const [paged, whole] = [await allEvents(alice, id, 2), await allEvents(alice, id, 500)]

  expect(paged).toEqual(whole)
  expect(whole.map(seqOf)).toEqual(whole.map((_event, index) => index + 1))
  expect(whole[0]).toMatchObject({ type: 'session_spawned', sessionId: id })
  expect((await alice.get(`/api/sessions/${id}/events?after=${whole.at(-1)?.eventId}`)).body).toEqual({
    ...{ events: [], next: whole.at(-1)?.eventId, head: whole.at(-1)?.eventId, more: false },
  })
})

test('what the log has dropped comes from Postgres, without a hole', async () => {
  const fixture = await startEdge()
  const asker = new Requester(fixture.url.replace('ws:', 'http:'), {})
  const id = await asker.spawn()
  const note = { type: 'session_status_update', session: { status: 'active' } } as const
  for (let round = 0; round < 10; round++)
    await fixture.worker.append(
      id,
      Array.from({ length: 10 }, () => note),
    )
  fixture.events.stored.set(id, [...(await fixture.bus.log.events(id, '0-0', 10_000))])
  await fixture.worker.trim(id, 7)
  await fixture.worker.append(id, [note])

  const events = await allEvents(asker, id, 9)

  expect(events.map(seqOf)).toEqual(Array.from({ length: 102 }, (_, index) => index + 1))
})

test('a transcript says who said what', async () => {
  const id = await alice.spawn({ task: '{"count":2}' })
  const entries = async () => (await alice.get(`/api/sessions/${id}/transcript`)).body.entries

  await vi.waitFor(async () => expect((await entries()).length).toBe(2), PATIENCE)

  expect(await entries()).toMatchObject([
    { role: 'user', text: '{"count":2}' },
    { role: 'assistant', messageId: expect.any(String), text: expect.any(String) },
  ])
})

test('files are listed, and read byte by byte, never as a page', async () => {
  const id = await alice.spawn()
  const page = '<script>alert(1)</script>'
  const files = ['a.txt', 'src/ü b.html', 'src/c#?.bin'].map((path) => ({
    path,
    mode: 0o644,
    bytes: Buffer.from(page + path),
  }))
  await new Workspaces(house.database).save(id, files, [])

  const listed = await allPages<{ path: string }>(alice, `/api/sessions/${id}/artifacts?limit=2`, 'artifacts')
  const read = await alice.get(`/api/sessions/${id}/artifacts/${encodeURIComponent('src/ü b.html')}`)
  const plain = await alice.get(`/api/sessions/${id}/artifacts/src/c%23%3F.bin`)

  expect(listed.map(({ path }) => path)).toEqual(['a.txt', 'src/c#?.bin', 'src/ü b.html'])
  expect(read).toMatchObject({ status: 200, body: `${page}src/ü b.html` })
  expect(plain.body).toBe(`${page}src/c#?.bin`)
  expect(read.headers.get('content-disposition')).toContain('attachment')
  expect(read.headers.get('x-content-type-options')).toBe('nosniff')
  const tag = `"${createHash('sha256').update(`${page}src/ü b.html`).digest('hex')}"`
  expect(read.headers.get('etag')).toBe(tag)
  const again = await alice.get(`/api/sessions/${id}/artifacts/src%2F%C3%BC%20b.html`, { 'if-none-match': tag })
  expect(again).toMatchObject({ status: 304, body: '' })
  expect(await alice.get(`/api/sessions/${id}/artifacts/none`)).toMatchObject({ body: { code: 'artifact_not_found' } })
})
