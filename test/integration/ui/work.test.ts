/**
 * The dashboard in a real browser, on a daemon of this machine that asks for no credential: what one watches and does.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../../scripts/demo/scripted-model.js'
import { connect } from '../../../src/client/client.js'
import { type RunningDaemon, settingsFolder } from '../../support/settings-fixture.js'
import { SwitchingProxy } from '../../support/switching-proxy.js'
import { dashboardOf, hasBrowser, type Opened, openPage, startDashboard, withBrowser } from './browser.js'

/** Slow enough to be cancelled, paused and watched. */
const TOKENS_PER_SECOND = 60
const REPORT = 'Write a report after `cp -r . report.md`'

describe.skipIf(!hasBrowser)('the dashboard', () => {
  const folder = settingsFolder()
  let running: RunningDaemon
  let model: ScriptedModel
  withBrowser()

  beforeAll(async () => {
    model = await startScriptedModel({ tokensPerSecond: TOKENS_PER_SECOND })
    const charter = join(folder.path, 'charter.yaml')
    writeFileSync(charter, 'name: careful\nsafetyHeuristics: {requireConfirmation: [File modifications]}\n')
    running = await startDashboard(folder.path, {
      ...{ CHARTER_FILE: charter, OPENAI_API_KEY: 'k', OPENAI_BASE_URL: model.openaiUrl },
    })
    const client = await connect({ url: `ws://127.0.0.1:${running.daemon.port}` })
    await (await client.spawn({ sessionType: 'llm', task: 'Count to 7, which is an early zeppelin' })).result()
    client.close()
  })
  afterAll(async () => {
    await running?.stop()
    await model?.stop()
    folder.remove()
  })

  const open = (hash = ''): Promise<Opened> => openPage(dashboardOf(running) + hash)

  /** Starts a session as a person would, and waits until it is open. */
  async function spawn(page: Page, task: string): Promise<void> {
    await page.getByRole('button', { name: 'New session' }).click()
    await page.getByLabel('Task', { exact: true }).fill(task)
    await page.getByRole('button', { name: 'Start session' }).click()
    await page.getByRole('heading', { level: 2, name: task }).waitFor()
  }

  const transcript = (page: Page) => page.getByRole('region', { name: 'Transcript' })
  const message = (page: Page) => transcript(page).getByRole('region', { name: /^Message of/ })
  const said = async (page: Page) => (await message(page).textContent())?.trim()
  const completed = (page: Page) => transcript(page).getByText('Task completed').waitFor()

  test('asks for nothing where nothing is asked for, and shows the cluster first', async () => {
    const { page, complaints } = await open()

    await page.getByRole('heading', { level: 1, name: 'Cluster' }).waitFor()
    await page.getByRole('img', { name: /shards on 1 worker, all owned/ }).waitFor()
    const rows = page.getByRole('region', { name: 'Nodes of the cluster' }).getByRole('row')
    await expect.poll(() => rows.count()).toBe(2)
    expect(complaints).toEqual([])
  })

  test('shows what a session says while it says it, byte for byte', async () => {
    const { page, complaints } = await open('#/sessions')
    await spawn(page, 'Count to 240')

    await page.locator('.is-streaming').filter({ hasText: 'amber' }).waitFor()
    await completed(page)

    await expect.poll(() => said(page)).toBe(numberedWords(240))
    await expect.poll(() => page.locator('.is-streaming').count()).toBe(0)
    expect(complaints).toEqual([])
  })

  test('cancels a task that runs, and then has no button for it', async () => {
    const { page } = await open('#/sessions')
    await spawn(page, 'Count to 4000')
    await message(page).getByText('birch').waitFor()

    await page.getByRole('button', { name: 'Cancel task' }).click()

    await transcript(page).getByText('Task cancelled').waitFor()
    await page.getByRole('button', { name: 'Cancel task' }).waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Stop session' }).click()
    await page.getByRole('button', { name: 'Stop it' }).click()
    await transcript(page).getByText('Session terminated').waitFor()
    await page.getByRole('group', { name: 'Actions on this session' }).waitFor({ state: 'detached' })
  })

  test('asks a person about what the charter leaves to one, and the call goes on with the answer', async () => {
    const { page } = await open('#/sessions')
    await spawn(page, REPORT)

    const question = page.getByRole('group', { name: 'Approval of bash_execute' })
    await question.waitFor()
    await page.getByText('1 tool call waits for approval').waitFor()
    await question.getByLabel('Comment').fill('this once')
    await question.getByRole('button', { name: 'Approve' }).click()

    await transcript(page).getByText('approved by local: this once').waitFor()
    const call = transcript(page).getByRole('region', { name: 'Tool call bash_execute' }).first()
    await call
      .locator('.tag')
      .filter({ hasText: /completed|failed/ })
      .waitFor()
    await call.locator('summary').click()
    expect(await call.getByRole('region', { name: 'Input' }).textContent()).toContain('cp -r . report.md')
    await page.getByRole('button', { name: 'Stop session' }).click()
    await page.getByRole('button', { name: 'Stop it' }).click()
  })

  test('goes back to any moment by the slider, by keys, and by a link', async () => {
    const { page } = await open('#/sessions')
    await spawn(page, 'Count to 12')
    await completed(page)
    const slider = page.getByRole('slider', { name: 'Position in the log' })
    await expect.poll(async () => Number(await slider.getAttribute('max'))).toBeGreaterThan(3)

    await slider.focus()
    await page.keyboard.press('Home')
    await transcript(page).getByText('Nothing was said yet').waitFor()
    const position = () => slider.getAttribute('aria-valuetext')
    await expect.poll(position).toMatch(/^event 1 of \d+: session spawned/)
    for (let event = 2; !(await message(page).isVisible()); event++) {
      await page.keyboard.press('ArrowRight')
      await expect.poll(position).toMatch(new RegExp(`^event ${event} of`))
    }
    expect(await said(page), 'text belongs to the end of its message').toBe('')
    const [, event] = /^event (\d+) of/.exec((await position()) ?? '') ?? []
    await page.waitForURL(new RegExp(`[?&]at=\\d+-${event}\\b`))
    const link = page.url()

    await page.getByRole('button', { name: 'Latest' }).click()
    await completed(page)
    await page.goto('about:blank')
    await page.goto(link)

    await message(page).waitFor()
    await transcript(page).getByText('Task completed').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Play' }).click()
    await completed(page)
  })

  test('finds sessions by what they are about, and says so where there are none', async () => {
    const { page } = await open('#/sessions')
    await spawn(page, 'Count to 3, which is the needle')
    await completed(page)

    const list = page.getByRole('listbox', { name: /Sessions/ })
    await page.keyboard.press('Escape')
    await page.getByRole('searchbox', { name: 'Search sessions' }).fill('needle')
    await page.waitForFunction(() => document.querySelectorAll('[role=option]').length === 1)
    await list.getByRole('option').filter({ hasText: 'needle' }).waitFor()

    await page.getByRole('searchbox', { name: 'Search sessions' }).fill('nothing of the kind')
    await page.getByText('No session fits').waitFor()
  })

  test('does everything with the keyboard alone', async () => {
    const { page } = await open()
    await page.getByRole('heading', { level: 1, name: 'Cluster' }).waitFor()
    const press = (key: string) => page.keyboard.press(key)
    const focused = () =>
      page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent)
    const tabTo = async (name: string): Promise<void> => {
      for (let stops = 0; stops < 40; stops++) {
        await press('Tab')
        if ((await focused())?.trim() === name) return
      }
      throw new Error(`no tab stop is called ${name}`)
    }

    await tabTo('Skip to content')
    await tabTo('Sessions')
    await press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Sessions' }).waitFor()
    await tabTo('New session')
    await press('Enter')
    await page.waitForFunction(() => document.activeElement?.tagName === 'TEXTAREA')
    await page.keyboard.type('Count to 5')
    await press('Control+Enter')
    await page.getByRole('heading', { level: 2, name: 'Count to 5' }).waitFor()
    await completed(page)
    await press('/')
    await expect.poll(focused).toBe('Search sessions')
    await tabTo('Sessions, newest first')
    const active = (position: number) => page.locator(`[role=option].is-active[aria-posinset="${position}"]`).waitFor()
    await press('End')
    await press('Home')
    await active(1)
    await press('ArrowDown')
    await active(2)
    await press('Enter')
    await page.waitForFunction(() => document.querySelector('[role=option][aria-selected=true][aria-posinset="2"]'))
  })

  test('shows budgets, memory and charter, or why there is nothing', async () => {
    const { page, complaints } = await open('#/budgets')
    await page.getByRole('region', { name: 'Budgets and what is used of them' }).getByRole('row').nth(1).waitFor()
    await page.getByRole('img', { name: 'tokens by model, hourly' }).waitFor()
    await page.getByRole('button', { name: 'As a table' }).click()
    await page.getByRole('region', { name: 'tokens by model, hourly' }).getByRole('row').nth(1).waitFor()

    await page.getByRole('link', { name: 'Memory' }).click()
    await page.getByRole('list', { name: 'Memories' }).getByText('Count to').first().waitFor()
    await page.getByRole('searchbox', { name: 'Search memories' }).fill('zeppelin')
    await page
      .getByText(/fits \d/)
      .first()
      .waitFor()

    await page.getByRole('link', { name: 'Charter' }).click()
    await page.getByRole('region', { name: 'Asked', exact: true }).getByText('File modifications').waitFor()
    expect(complaints).toEqual([])
  })

  test('says that the connection is lost, and goes on with the session when it is back', async () => {
    const proxy = new SwitchingProxy(running.daemon.port)
    await proxy.start()
    onTestFinished(() => proxy.stop())
    const { page } = await openPage(`http://127.0.0.1:${proxy.port}/ui/#/sessions`)
    await spawn(page, 'Count to 300')
    await message(page).getByText('amber').waitFor()

    proxy.pointTo(undefined)
    await page.getByText('Reconnecting …').waitFor()
    proxy.pointTo(running.daemon.port)
    await page.getByText('Live', { exact: true }).waitFor()
    await completed(page)

    await expect.poll(() => said(page)).toBe(numberedWords(300))
  })
})
