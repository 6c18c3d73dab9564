/**
 * A daemon with a dashboard, and a real browser in front of it.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { findBrowser, NO_BROWSER } from '../../../scripts/servers/browser.js'
import { signToken } from '../../../src/edge/token.js'
import type { ClientRole } from '../../../src/protocol/permissions.js'
import { type RunningDaemon, startWith } from '../../support/settings-fixture.js'

export const SECRET = 'a-secret-of-at-least-thirty-two-characters'
const LAUNCH_TIMEOUT_MS = 60_000
/** Of each wait in a page; the machine may be busy. */
const PATIENCE_MS = 20_000

const path = findBrowser()
export const hasBrowser = path !== undefined
if (!hasBrowser) process.stderr.write(`${NO_BROWSER}\n`)

let browser: Browser | undefined

/** Starts the browser once for the tests of a file. */
export function withBrowser(): void {
  beforeAll(async () => {
    // As root, in containers, there is no sandbox to have; the pages are our own.
    browser = await chromium.launch({ executablePath: path ?? '', args: ['--no-sandbox'], timeout: LAUNCH_TIMEOUT_MS })
  }, LAUNCH_TIMEOUT_MS)
  afterAll(() => browser?.close())
}

export interface Opened {
  readonly page: Page
  readonly context: BrowserContext
  /** What the page has complained about: errors, refusals of its policy, requests to other hosts. */
  readonly complaints: string[]
}

type ContextOptions = Parameters<Browser['newContext']>[0]

/** A page of its own, closed when the test is over; every complaint of it fails the test. */
export async function openPage(url: string, options: ContextOptions = {}): Promise<Opened> {
  if (!browser) throw new Error('the browser is not started: call withBrowser at the top of the file')
  const context = await browser.newContext({ viewport: { width: 1360, height: 840 }, ...options })
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (new URL(request.url()).host !== new URL(url).host) complaints.push(`asked ${request.url()}`)
  })
  onTestFinished(async () => {
    await context.close()
  })
  await page.goto(url)
  return { page, context, complaints }
}

export const dashboardOf = ({ daemon }: RunningDaemon): string => `http://127.0.0.1:${daemon.port}/ui/`

/** Limits and periods are wide: tests of the dashboard are about other things. */
export const startDashboard = (folder: string, env: Readonly<Record<string, string>> = {}): Promise<RunningDaemon> =>
  startWith(folder, { DAEMON_RATE_LIMIT_MAX: '1000000', DAEMON_AUTH_MAX_CONNECTIONS: '100', ...env })

export async function tokenFor(
  role: ClientRole,
  subject = 'alice',
  lifetimeMs = 3_600_000,
  tenant = 'acme',
): Promise<string> {
  const holder = { tenant, subject, role, scopes: undefined }
  const rules = { issuer: 'wundr-orchestrator', audience: 'wundr-daemon', lifetimeMs }
  return (await signToken(holder, new TextEncoder().encode(SECRET), rules)).token
}

export async function login(page: Page, token: string): Promise<void> {
  await page.getByLabel('Token or API key').fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation', { name: 'Views' }).waitFor()
}

/** Also kept in the folder that DASHBOARD_PICTURES names, for whoever wants to look. */
export async function picture(page: Page, name: string): Promise<Buffer> {
  const taken = await page.screenshot()
  const to = process.env.DASHBOARD_PICTURES
  if (to) {
    mkdirSync(to, { recursive: true })
    writeFileSync(join(to, `${name}.png`), taken)
  }
  return taken
}
