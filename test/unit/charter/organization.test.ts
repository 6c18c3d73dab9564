/**
 * The charter of an organisation is fetched, kept, and put above the one of the node.
 */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { CharterSync } from '../../../src/charter/organization.js'
import { type Charter, charterSchema } from '../../../src/charter/schema.js'

const local = charterSchema.parse({
  name: 'node',
  resourceLimits: { maxSessions: 9 },
  safetyHeuristics: { autoApprove: ['Kill processes'], alwaysReject: ['Git push'] },
})
const acme = (version: number, more: object = {}) => ({
  ...{ id: 'org_1', name: 'Acme', mission: 'Ship', values: [], principles: [], version, isActive: true },
  ...{ governance: { style: 'federated' }, safetyHeuristics: { escalate: ['Package installation'] } },
  ...{ resourceLimits: { maxSessions: 4 }, ...more },
})

/** A Neolith-style server; `answer` may change what it says. */
async function neolith(first: object | number) {
  let says = first
  const asked: { url: string | undefined; key: string | undefined }[] = []
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    asked.push({ url: request.url, key: request.headers.authorization })
    if (typeof says === 'number') response.writeHead(says).end()
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(says))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, asked, answer: (next: object | number) => (says = next) }
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'charter-cache-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function syncing(baseUrl: string, cacheDirectory = folder(), intervalMs = 60_000) {
  const updates: [Charter, string][] = []
  const log = { info: vi.fn(), warn: vi.fn() }
  const sync = new CharterSync({
    ...{ organizationId: 'acme', baseUrl, apiKey: 'vp_1', intervalMs, cacheDirectory, local, log },
    onUpdated: (charter, from) => updates.push([charter, from]),
  })
  onTestFinished(() => sync.stop())
  await sync.start()
  return { sync, updates, log, cacheDirectory }
}

test('it is asked for with the key, and both charters hold in one', async () => {
  const { url, asked } = await neolith(acme(1))

  const { updates } = await syncing(url)

  expect(asked).toEqual([{ url: '/api/organizations/acme/charter', key: 'Bearer vp_1' }])
  expect(updates).toHaveLength(1)
  expect(updates[0]?.[0]).toMatchObject({
    name: 'node',
    resourceLimits: { maxSessions: 4 },
    safetyHeuristics: {
      escalate: ['Package installation'],
      alwaysReject: ['Git push'],
      // The organisation has said nothing about it.
      autoApprove: ['Kill processes'],
    },
  })
})

test('G-08: a new version counts at the next look, and one that has not changed is no news', async () => {
  const { url, asked, answer } = await neolith({ charter: acme(1) })
  const { updates } = await syncing(url, folder(), 20)
  await vi.waitFor(() => expect(asked.length).toBeGreaterThan(2))
  expect(updates).toHaveLength(1)

  answer({ charter: acme(2, { safetyHeuristics: { escalate: ['Git push'] } }) })

  await vi.waitFor(() => expect(updates).toHaveLength(2))
  expect(updates[1]?.[0].safetyHeuristics.escalate).toEqual(['Git push'])
})

test('while the server is away the one that was kept counts', async () => {
  const { url, answer } = await neolith(acme(7))
  const { cacheDirectory } = await syncing(url)
  expect(JSON.parse(readFileSync(join(cacheDirectory, 'acme.json'), 'utf8'))).toMatchObject({ version: 7 })
  answer(503)

  const { updates, log } = await syncing(url, cacheDirectory)

  expect(updates.map(([charter, from]) => [charter.version, from])).toEqual([[7, 'cache']])
  expect(log.warn).toHaveBeenCalledWith(expect.anything(), expect.stringContaining('could not be fetched'))
})

test('without a server and without a cache the node goes on with its own', async () => {
  const { updates } = await syncing('http://127.0.0.1:1')
  expect(updates).toEqual([])
})

test('one that is wrong replaces neither what counts nor what is kept', async () => {
  const { url, answer } = await neolith(acme(1))
  const { sync, updates, cacheDirectory, log } = await syncing(url)

  answer(acme(2, { resourceLimits: { maxSessions: 'many' } }))
  await sync.sync()

  expect(updates).toHaveLength(1)
  expect(JSON.parse(readFileSync(join(cacheDirectory, 'acme.json'), 'utf8'))).toMatchObject({ version: 1 })
  expect(log.warn).toHaveBeenCalledWith(expect.anything(), expect.stringContaining('is not valid'))
})

test('one that is not active binds nobody', async () => {
  const { url } = await neolith(acme(1, { isActive: false }))

  const { updates } = await syncing(url)

  expect(updates[0]?.[0]).toEqual(local)
})
