/**
 * The client in a real browser: the file that the package has for browsers, small, and the examples that use it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, type Metafile } from 'esbuild'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../../scripts/demo/scripted-model.js'
import { type Client, connect } from '../../../src/client/client.js'
import { compiledExamples, type PackedExamples } from '../../support/packed-examples.js'
import { PACKAGE } from '../../support/packed-package.js'
import { type RunningDaemon, settingsFolder, startWith } from '../../support/settings-fixture.js'
import { SwitchingProxy } from '../../support/switching-proxy.js'
import { hasBrowser, openPage, withBrowser } from './browser.js'

const MAX_GZIPPED_BYTES = 15 * 1024
/** Slow enough to be cut in the middle. */
const TOKENS_PER_SECOND = 60
/** React is no dependency of ours: what has its interface runs the example. */
const AS_REACT = {
  react: 'preact/compat',
  'react/jsx-runtime': 'preact/jsx-runtime',
  'react-dom/client': 'preact/compat/client',
}
const PANELS = `
import { createElement } from 'react'
import { createRoot } from 'react-dom/client'
import { SessionPanels } from './out/examples/react/session-panel.js'

const query = new URLSearchParams(location.search)
const sessionIds = query.getAll('session')
createRoot(document.body).render(createElement(SessionPanels, { url: query.get('url'), sessionIds }))
`

const folder = settingsFolder()
let examples: PackedExamples
let model: ScriptedModel
let running: RunningDaemon
let client: Client

beforeAll(async () => {
  examples = await compiledExamples()
  model = await startScriptedModel({ tokensPerSecond: TOKENS_PER_SECOND })
  running = await startWith(folder.path, {
    ...{ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: model.openaiUrl, DAEMON_RATE_LIMIT_MAX: '1000000' },
    DAEMON_AUTH_MAX_CONNECTIONS: '100',
  })
  client = await connect({ url: `ws://127.0.0.1:${running.daemon.port}` })
}, 120_000)

afterAll(async () => {
  client?.close()
  await running?.stop()
  await model?.stop()
  examples?.remove()
  folder.remove()
})

/** One script for a page, as a bundler makes it of a program that uses the package. */
async function bundle(entry: string, alias: Record<string, string> = {}): Promise<{ text: string; meta: Metafile }> {
  const { outputFiles, metafile } = await build({
    ...{ entryPoints: [join(examples.folder, entry)], absWorkingDir: examples.folder, alias },
    ...{ bundle: true, format: 'esm', target: 'es2022', write: false, metafile: true, logLevel: 'warning' },
  })
  return { text: outputFiles[0]?.text ?? '', meta: metafile }
}

/** A page with this script, closed with the test. */
async function served(html: string, script: string): Promise<string> {
  const server = createServer((request, response) => {
    const isScript = request.url === '/main.js'
    response.writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html' })
    response.end(isScript ? script : html)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

test('the file for browsers is less than 15 kB gzipped, and all that a bundler takes of the package', async () => {
  const path = `node_modules/${PACKAGE}/dist/client/client.browser.js`
  const file = readFileSync(join(examples.folder, path))
  const bytes = gzipSync(file, { level: 9 }).byteLength
  console.info(`the client for browsers: ${file.byteLength} bytes, ${bytes} gzipped`)

  expect(bytes).toBeLessThan(MAX_GZIPPED_BYTES)
  expect(file.toString()).not.toMatch(/\b(import|require)\s*\(?\s*["']/)
  const { meta } = await bundle('out/examples/browser/main.js')
  expect(Object.keys(meta.inputs).filter((input) => input.includes('node_modules'))).toEqual([path])
})

describe.skipIf(!hasBrowser)('in a real browser', () => {
  withBrowser()

  test('the example gives a task and shows its answer, across a lost connection', async () => {
    const proxy = new SwitchingProxy(running.daemon.port)
    await proxy.start()
    onTestFinished(() => proxy.stop())
    const html = readFileSync(join(examples.folder, 'examples/browser/index.html'), 'utf8')
    const page = await served(html, (await bundle('out/examples/browser/main.js')).text)
    const opened = await openPage(`${page}?url=${encodeURIComponent(`ws://127.0.0.1:${proxy.port}`)}`)
    const status = opened.page.getByRole('status')
    const answer = opened.page.getByLabel('Answer')
    await opened.page.getByText('connected', { exact: true }).waitFor()

    await opened.page.getByLabel('Task').fill('Count to 40')
    await opened.page.getByRole('button', { name: 'Start' }).click()
    await answer.filter({ hasText: '1 ' }).waitFor()
    proxy.pointTo(running.daemon.port)
    await status.filter({ hasText: 'task_completed' }).waitFor()

    await expect.poll(() => answer.textContent()).toBe(numberedWords(40))
    expect(opened.complaints.filter((it) => !it.includes('WebSocket connection'))).toEqual([])
  })

  test('the hook shows a session in two places over one subscription, and gives it a task', async () => {
    writeFileSync(join(examples.folder, 'panels.js'), PANELS)
    const html =
      '<!doctype html><link rel="icon" href="data:,"><body></body><script type="module" src="main.js"></script>'
    const page = await served(html, (await bundle('panels.js', AS_REACT)).text)
    const session = await client.spawn({ sessionType: 'llm', task: 'Count to 3' })
    await session.result()
    const service = encodeURIComponent(`ws://127.0.0.1:${running.daemon.port}`)
    const twice = `session=${session.id}&session=${session.id}`
    const { page: view, complaints } = await openPage(`${page}?url=${service}&${twice}`)
    const panels = view.getByLabel(session.id)
    const shows = (which: number, text: string) => panels.nth(which).locator('pre').filter({ hasText: text }).waitFor()

    await Promise.all([shows(0, numberedWords(3)), shows(1, numberedWords(3))])
    // The page's, and that of the client that spawned it.
    await expect.poll(() => running.daemon.edge?.watchersOf(session.id)).toBe(2)
    await panels.nth(1).getByLabel('Task').fill('Count to 12')
    await panels.nth(1).getByRole('button', { name: 'Give task' }).click()
    await Promise.all([shows(0, numberedWords(12)), shows(1, numberedWords(12))])

    expect(complaints).toEqual([])
  })
})
