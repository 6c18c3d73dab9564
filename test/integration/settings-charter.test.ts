/**
 * The settings of the charter take effect.
 */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, expect, vi } from 'vitest'
import { effect, PATIENCE, settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()

afterAll(() => folder.remove())

effect(
  ['CHARTER_FILE'],
  'a charter that is wrong keeps the daemon from starting, with file, line and field',
  async () => {
    const file = join(folder.path, 'wrong.yaml')
    writeFileSync(file, 'name: x\nresourceLimits:\n  maxSessions: many\n')

    const start = startWith(folder.path, { CHARTER_FILE: file })

    await expect(start).rejects.toThrow(`${file}:3: resourceLimits.maxSessions: `)
  },
)

effect(['CHARTER_FILE'], 'a good one is used, and what matches nothing is said aloud', async () => {
  const file = join(folder.path, 'good.yaml')
  writeFileSync(file, 'name: careful\nsafetyHeuristics: {alwaysReject: [Wishful thinking]}\n')

  const { lines, stop } = await startWith(folder.path, { CHARTER_FILE: file })

  expect(lines.join('\n')).toContain('\\"Wishful thinking\\" in alwaysReject matches nothing')
  expect(lines.join('\n')).toMatch(/"name":"careful".*the charter holds for every session/)
  await stop()
})

effect(
  ['CHARTER_ORGANIZATION_ID', 'CHARTER_SYNC_INTERVAL', 'CHARTER_CACHE_DIR', 'NEOLITH_API_URL', 'NEOLITH_API_KEY'],
  'the charter of the organisation is fetched again and again, and kept',
  async () => {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`)
      response.end(JSON.stringify({ name: 'Acme', version: asked.length }))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const cache = join(folder.path, 'cache')

    const { stop } = await startWith(folder.path, {
      ...{ CHARTER_ORGANIZATION_ID: 'acme', CHARTER_SYNC_INTERVAL: '1000', CHARTER_CACHE_DIR: cache },
      ...{ NEOLITH_API_URL: `http://127.0.0.1:${port}`, NEOLITH_API_KEY: 'vp_1' },
    })

    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(1), PATIENCE)
    expect(asked[0]).toBe('/api/organizations/acme/charter Bearer vp_1')
    const kept = () => JSON.parse(readFileSync(join(cache, 'acme.json'), 'utf8')) as unknown
    await vi.waitFor(() => expect(kept()).toMatchObject({ name: 'Acme' }), PATIENCE)
    await stop()
    server.close()
  },
)
