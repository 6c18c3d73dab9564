/**
 * How the files of the dashboard are served: from memory, with their types, a policy, and caching that never shows an old page.
 */
import uWS from 'uWebSockets.js'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Dashboard } from '../../src/edge/dashboard.js'

const LONG = 'export const word = 1;\n'.repeat(1_000)
const folder = mkdtempSync(join(tmpdir(), 'dashboard-'))
const apps: uWS.TemplatedApp[] = []

function serve(files: string): string {
  const app = uWS.App()
  new Dashboard(files).register(app)
  app.any('/*', (res) => void res.writeStatus('404 Not Found').end('somebody else'))
  apps.push(app)
  let port = 0
  app.listen('127.0.0.1', 0, (socket) => {
    port = socket ? uWS.us_socket_local_port(socket) : 0
  })
  return `http://127.0.0.1:${port}`
}

afterAll(() => {
  for (const app of apps) app.close()
  rmSync(folder, { recursive: true })
})

describe('a dashboard that is built', () => {
  let url: string

  beforeAll(() => {
    const files = join(folder, 'ui')
    mkdirSync(join(files, 'assets'), { recursive: true })
    writeFileSync(join(folder, 'secret.js'), 'secret')
    writeFileSync(join(files, 'index.html'), '<p>page</p>')
    writeFileSync(join(files, 'notes.txt'), 'of no type that a page has')
    writeFileSync(join(files, 'assets', 'a-123.js'), 'script')
    writeFileSync(join(files, 'assets', 'a-123.css'), 'style')
    writeFileSync(join(files, 'assets', 'long.js'), LONG)
    url = serve(files)
  })

  test.each([
    ['/ui/', 'text/html; charset=utf-8', '<p>page</p>'],
    ['/ui/index.html', 'text/html; charset=utf-8', '<p>page</p>'],
    ['/ui/assets/a-123.js', 'text/javascript; charset=utf-8', 'script'],
    ['/ui/assets/a-123.css', 'text/css; charset=utf-8', 'style'],
  ])('has %s as %s', async (path, type, body) => {
    const answer = await fetch(url + path)

    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([200, type, body])
  })

  test('leads from /ui to /ui/, wherever a proxy has put it', async () => {
    const answer = await fetch(`${url}/ui`, { redirect: 'manual' })

    expect([answer.status, answer.headers.get('location')]).toEqual([308, 'ui/'])
  })

  test('lets a page load nothing of other hosts, run nothing inline, and be framed by nobody', async () => {
    const { headers } = await fetch(`${url}/ui/`)
    const policy = new Map(
      (headers.get('content-security-policy') ?? '').split('; ').map((rule) => {
        const [name = '', ...sources] = rule.split(' ')
        return [name, sources.join(' ')]
      }),
    )

    expect(policy.get('default-src')).toBe("'none'")
    for (const name of ['script-src', 'style-src', 'connect-src', 'img-src']) expect(policy.get(name)).toBe("'self'")
    expect(policy.get('frame-ancestors')).toBe("'none'")
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
  })

  test('asks for the page each time and for the rest once, and sends nothing that is known', async () => {
    const page = await fetch(`${url}/ui/`)
    const script = await fetch(`${url}/ui/assets/a-123.js`)

    expect(page.headers.get('cache-control')).toBe('no-cache')
    expect(script.headers.get('cache-control')).toContain('immutable')
    const tag = page.headers.get('etag') ?? ''
    expect(tag).not.toBe(script.headers.get('etag'))
    const again = await fetch(`${url}/ui/`, { headers: { 'if-none-match': `"other", W/${tag}` } })
    expect([again.status, await again.text()]).toEqual([304, ''])
    expect((await fetch(`${url}/ui/`, { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  })

  test.each([
    ['gzip, deflate, br', true],
    ['br;q=1.0, gzip;q=0.8', true],
    ['', false],
    ['identity', false],
    ['gzip;q=0, deflate', false],
  ])('sends a long file to whoever takes %j packed: %s', async (accepted, isPacked) => {
    const { headers, body } = await getRaw(`${url}/ui/assets/long.js`, { 'accept-encoding': accepted })

    expect(headers['content-encoding']).toBe(isPacked ? 'gzip' : undefined)
    expect(headers.vary).toBe('accept-encoding')
    expect(String(isPacked ? gunzipSync(body) : body)).toBe(LONG)
    expect(Number(headers['content-length'])).toBe(body.byteLength)
    expect(body.byteLength < LONG.length / 10).toBe(isPacked)
  })

  test('knows both forms of a file by tags of their own', async () => {
    const asked = `${url}/ui/assets/long.js`
    const [packed, plain] = [await getRaw(asked, { 'accept-encoding': 'gzip' }), await getRaw(asked, {})]
    const again = (tag: string | undefined, encoding: string) =>
      getRaw(asked, { 'accept-encoding': encoding, 'if-none-match': String(tag) })

    expect(packed.headers.etag).not.toBe(plain.headers.etag)
    expect([
      (await again(packed.headers.etag, 'gzip')).status,
      (await again(plain.headers.etag, '')).status,
      (await again(plain.headers.etag, 'gzip')).status,
    ]).toEqual([304, 304, 200])
  })

  test('answers HEAD without a body, and no other method', async () => {
    const head = await fetch(`${url}/ui/`, { method: 'HEAD' })

    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '11', ''])
    expect((await fetch(`${url}/ui/`, { method: 'POST', body: 'x' })).status).toBe(405)
  })

  test.each([
    '/ui/../secret.js',
    '/ui/%2e%2e/secret.js',
    '/ui//etc/passwd',
    '/ui/assets',
    '/ui/notes.txt',
    '/ui/none.js',
  ])('has nothing at %s', async (path) => {
    // Not by fetch, which tidies addresses.
    expect(await rawStatus(url, path)).toMatch(/^HTTP\/1.1 404/)
  })

  test('leaves all other paths to others', async () => {
    expect(await (await fetch(`${url}/uint`)).text()).toBe('somebody else')
  })
})

test('a dashboard that is not built says how to build it', async () => {
  const answer = await fetch(`${serve(join(folder, 'nothing'))}/ui/`)

  expect([answer.status, await answer.text()]).toEqual([404, 'The dashboard is not built: npm run build'])
})

/** As it comes: fetch unpacks. */
function getRaw(url: string, headers: Readonly<Record<string, string>>) {
  return new Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
    request(url, { headers, agent: false }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }),
      )
    })
      .on('error', reject)
      .end()
  })
}

function rawStatus(url: string, path: string): Promise<string> {
  const { port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    })
    socket.once('data', (data) => {
      resolve(String(data))
      socket.destroy()
    })
    socket.once('error', reject)
  })
}
