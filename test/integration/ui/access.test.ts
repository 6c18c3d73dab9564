/**
 * Who gets into the dashboard, what of it they are shown, and what their browser keeps.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, type SessionHandle } from '../../../src/client/client.js'
import { type RunningDaemon, settingsFolder } from '../../support/settings-fixture.js'
import { dashboardOf, hasBrowser, login, openPage, SECRET, startDashboard, tokenFor, withBrowser } from './browser.js'

/** Of a token: time enough to sign in on a busy machine, and no more than a test may wait for. */
const SHORT_LIFE_MS = 10_000

describe.skipIf(!hasBrowser)('the door of the dashboard', () => {
  const folder = settingsFolder()
  const apiKey = 'an-api-key-of-at-least-thirty-two-characters'
  let running: RunningDaemon
  let session: SessionHandle
  withBrowser()

  beforeAll(async () => {
    running = await startDashboard(folder.path, {
      DAEMON_JWT_SECRET: SECRET,
      DAEMON_AUTH_API_KEYS: JSON.stringify([{ key: apiKey, clientId: 'acme', role: 'admin' }]),
    })
    const client = await connect({ url: `ws://127.0.0.1:${running.daemon.port}`, token: await tokenFor('user', 'bob') })
    session = await client.spawn({ sessionType: 'echo', task: 'a session of bob' })
    await session.result()
    client.close()
  })
  afterAll(async () => {
    await running?.stop()
    folder.remove()
  })

  const open = (hash = '') => openPage(dashboardOf(running) + hash)

  test('refuses a wrong credential with a reason, and forgets it', async () => {
    const { page } = await open()
    await page.getByLabel('Token or API key').fill('no-token')
    await page.keyboard.press('Enter')

    await page.getByRole('alert').getByText('This is neither a token nor a known API key').waitFor()
    const kept = () => page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }))
    await expect.poll(kept).not.toContain('no-token')
    await page.getByLabel('Token or API key').fill(await tokenFor('admin', 'alice', -60_000))
    await page.keyboard.press('Enter')
    await page.getByRole('alert').getByText('This token has expired').waitFor()
  })

  test('lets a token in, keeps it for this tab alone, and sends it nowhere but to the service', async () => {
    const { page, context, complaints } = await open('#/charter')
    const token = await tokenFor('admin')
    const addresses: string[] = []
    page.on('request', (request) => addresses.push(request.url()))

    await login(page, token)
    await page.getByRole('heading', { name: 'What a tool call meets' }).waitFor()

    expect(await page.evaluate(() => JSON.stringify(localStorage) + document.cookie)).not.toContain(token)
    expect(addresses.filter((address) => address.includes(token))).toEqual([])
    await page.reload()
    await page.getByRole('heading', { name: 'What a tool call meets' }).waitFor()
    const other = await context.newPage()
    await other.goto(dashboardOf(running))
    await other.getByLabel('Token or API key').waitFor()
    // Nobody was in yet when the page asked whether a credential is needed: that refusal is the browser's only complaint.
    expect(complaints.filter((each) => !each.includes('401'))).toEqual([])
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token or API key').waitFor()
    await expect.poll(() => page.evaluate(() => JSON.stringify(sessionStorage))).not.toContain(token)
  })

  test('lets an API key in', async () => {
    const { page } = await open('#/sessions')

    await login(page, apiKey)

    await page.getByRole('listbox').getByRole('option').first().waitFor()
    await page.getByText('Live', { exact: true }).waitFor()
  })

  test('shows a read-only role everything and no button that would be refused', async () => {
    const { page } = await open(`#/sessions/${session.id}`)

    await login(page, await tokenFor('readonly', 'carol'))

    await page.getByRole('region', { name: 'Transcript' }).getByText('Task completed').waitFor()
    const buttons = await page.getByRole('button').allTextContents()
    expect(buttons.join()).toMatch(/Play/)
    expect(buttons.join()).not.toMatch(/New session|Cancel|Pause session|Stop|Approve|Reject|Send/)
    expect(await page.getByRole('textbox', { name: /task/i }).count()).toBe(0)
    await page.getByRole('link', { name: 'Cluster' }).click()
    await page.getByRole('region', { name: 'Nodes of the cluster' }).waitFor()
  })

  test('shows a user their own sessions, and nothing of the cluster', async () => {
    const { page } = await open('#/cluster')

    await login(page, await tokenFor('user', 'dave'))

    await page.getByText('There are no sessions yet').waitFor()
    expect(await page.getByRole('link', { name: 'Cluster' }).count()).toBe(0)
    await page.goto(`${dashboardOf(running)}#/sessions/${session.id}`)
    await page.getByText('There is no such session').waitFor()
  })

  test('asks for another token when the one in use has expired', async () => {
    const { page } = await open('#/sessions')

    await login(page, await tokenFor('admin', 'erin', SHORT_LIFE_MS))

    await page.getByLabel('Token or API key').waitFor()
    await page.getByRole('alert').getByText('You were signed out').waitFor()
  })
})
