/**
 * The dashboard for every eye and none: names and roles for screen readers, contrast, both colour schemes, and small screens.
 * Pictures of every view go to the folder that DASHBOARD_PICTURES names.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type ScriptedModel, startScriptedModel } from '../../../scripts/demo/scripted-model.js'
import { connect } from '../../../src/client/client.js'
import { type RunningDaemon, settingsFolder } from '../../support/settings-fixture.js'
import { dashboardOf, hasBrowser, openPage, picture, startDashboard, withBrowser } from './browser.js'

const SCHEMES = ['light', 'dark'] as const
const VIEWS = ['cluster', 'sessions', 'budgets', 'memory', 'charter'] as const
/** WCAG 2.2 AA, for text of the usual size. */
const MIN_CONTRAST = 4.5

describe.skipIf(!hasBrowser)('the look of the dashboard', () => {
  const folder = settingsFolder()
  let running: RunningDaemon
  let model: ScriptedModel
  let session: string
  withBrowser()

  beforeAll(async () => {
    model = await startScriptedModel()
    const charter = join(folder.path, 'charter.yaml')
    writeFileSync(charter, 'name: careful\nsafetyHeuristics: {requireConfirmation: ["cp *"]}\n')
    running = await startDashboard(folder.path, {
      ...{ CHARTER_FILE: charter, OPENAI_API_KEY: 'k', OPENAI_BASE_URL: model.openaiUrl },
    })
    const client = await connect({ url: `ws://127.0.0.1:${running.daemon.port}` })
    const done = await client.spawn({ sessionType: 'llm', task: 'Count to 40' })
    await done.result()
    const asking = await client.spawn({ sessionType: 'llm', task: 'Write a report after `cp -r . report.md`' })
    for await (const message of asking) if (message.type === 'approval_request') break
    session = asking.id
    client.close()
  })
  afterAll(async () => {
    await running?.stop()
    await model?.stop()
    folder.remove()
  })

  /** One page for all views: another browser for each would take most of the time. */
  async function open(options: Parameters<typeof openPage>[1] = {}): Promise<Page> {
    const { page } = await openPage(dashboardOf(running), options)
    await page.getByRole('heading', { level: 1, name: 'Cluster' }).waitFor()
    return page
  }

  async function visit(page: Page, view: string): Promise<void> {
    const title = new RegExp(`^${view.split('/')[0]}`, 'i')
    await page.evaluate((hash) => {
      location.hash = hash
    }, `#/${view}`)
    await vi.waitUntil(async () => title.test(await page.title()), { timeout: 20_000, interval: 20 })
    await page.getByRole('main').getByRole('heading').first().waitFor()
    await page.waitForFunction(() => document.querySelector('.loading') === null)
  }

  const views = (): readonly string[] => [...VIEWS, `sessions/${session}`]
  const nameOf = (view: string): string => (view.includes('/') ? 'session' : view)

  test('every view has its landmarks, one first heading, and a name for everything that can be used', async () => {
    const page = await open()
    for (const view of views()) {
      await visit(page, view)
      for (const landmark of ['banner', 'navigation', 'main'] as const) {
        expect(await page.getByRole(landmark).count(), `${landmark} of ${view}`).toBe(1)
      }
      expect(await page.getByRole('heading', { level: 1 }).count(), view).toBe(1)
      const nodes = await accessibleNodes(page)
      expect(nodes.length, view).toBeGreaterThan(10)
      expect(
        nodes.filter(({ name }) => name === ''),
        view,
      ).toEqual([])
      expect(await page.locator('fieldset:not([aria-label])').count(), view).toBe(0)
      expect(await doubledIds(page), view).toEqual([])
    }
  })

  test.each(SCHEMES)('text can be read in the %s scheme', async (colorScheme) => {
    const page = await open({ colorScheme })
    for (const view of views()) {
      await visit(page, view)
      const { texts, faint } = await contrasts(page, MIN_CONTRAST)
      expect(texts, view).toBeGreaterThan(10)
      expect(faint, view).toEqual([])
    }
  })

  test('light and dark are different pictures, and neither is empty', async () => {
    const page = await open()
    for (const view of views()) {
      await visit(page, view)
      const pictures: Buffer[] = []
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme })
        pictures.push(await picture(page, `${nameOf(view)}-${colorScheme}`))
      }
      const [light, dark] = pictures
      expect(light?.equals(dark ?? Buffer.alloc(0)), view).toBe(false)
      // A picture of one colour packs into next to nothing.
      for (const each of pictures) expect(each.byteLength, view).toBeGreaterThan(10_000)
    }
  })

  test('a chosen scheme wins over that of the system, and stays', async () => {
    const page = await open({ colorScheme: 'light' })
    const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
    const before = await ground()

    await page.getByRole('combobox', { name: 'Colours' }).selectOption('dark')
    await expect.poll(ground).not.toBe(before)
    const chosen = await ground()
    await page.reload()
    await page.getByRole('heading', { level: 1 }).waitFor()
    await expect.poll(ground).toBe(chosen)
  })

  test('nothing is wider than a small screen', async () => {
    const page = await open({ viewport: { width: 390, height: 780 } })
    for (const view of views()) {
      await visit(page, view)
      await picture(page, `${nameOf(view)}-small`)
      const { width, screen } = await page.evaluate(() => ({
        width: document.documentElement.scrollWidth,
        screen: document.documentElement.clientWidth,
      }))
      expect(width, view).toBeLessThanOrEqual(screen)
    }
  })
})

const USED = new Set(
  'button link textbox searchbox combobox slider listbox option checkbox spinbutton region img dialog'.split(' '),
)

/** What a screen reader is given of everything that can be used or gone to. */
async function accessibleNodes(page: Page): Promise<{ role: string; name: string }[]> {
  const devtools = await page.context().newCDPSession(page)
  const { nodes } = await devtools.send('Accessibility.getFullAXTree')
  return nodes
    .filter(({ ignored, role }) => !ignored && USED.has(String(role?.value)))
    .map(({ role, name }) => ({ role: String(role?.value), name: String(name?.value ?? '').trim() }))
}

const doubledIds = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
    return ids.filter((id, index) => ids.indexOf(id) !== index)
  })

/** Texts that are shown, and those of them that are too faint on what is behind them. */
const contrasts = (page: Page, minimum: number): Promise<{ texts: number; faint: string[] }> =>
  page.evaluate((least) => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
    // The canvas knows every way in which a colour can be written.
    const pixel = (colour: string): [number, number, number, number] => {
      if (!canvas) throw new Error('no canvas')
      canvas.clearRect(0, 0, 1, 1)
      canvas.fillStyle = colour
      canvas.fillRect(0, 0, 1, 1)
      const [r = 0, g = 0, b = 0, a = 0] = canvas.getImageData(0, 0, 1, 1).data
      return [r, g, b, a]
    }
    const luminance = ([r, g, b]: readonly number[]): number => {
      const linear = [r, g, b].map((each = 0) => {
        const part = each / 255
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
      })
      return 0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0)
    }
    const behind = (element: Element | null): readonly number[] => {
      if (!element) return [255, 255, 255, 255]
      const colour = pixel(getComputedStyle(element).backgroundColor)
      return colour[3] > 250 ? colour : behind(element.parentElement)
    }
    const faint: string[] = []
    let texts = 0
    for (const element of document.querySelectorAll('body *')) {
      const text = [...element.childNodes]
        .filter(({ nodeType }) => nodeType === Node.TEXT_NODE)
        .map((it) => it.textContent)
      const style = getComputedStyle(element)
      const isShown = element.checkVisibility() && element.getBoundingClientRect().width > 1
      const isDisabled = element.matches(':disabled, :disabled *')
      if (text.join('').trim() === '' || !isShown || isDisabled) continue
      texts += 1
      const colour = element instanceof SVGElement ? style.fill : style.color
      const [light = 0, dark = 0] = [luminance(pixel(colour)), luminance(behind(element))].sort((a, b) => b - a)
      const ratio = (light + 0.05) / (dark + 0.05)
      if (ratio < least) faint.push(`${text.join(' ').trim().slice(0, 40)}: ${ratio.toFixed(2)}`)
    }
    return { texts, faint }
  }, minimum)
