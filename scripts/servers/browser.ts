/**
 * A Chromium for the tests of the dashboard: the one that TEST_BROWSER names, or one that is found or can be installed.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { canInstall, installPackages } from './install.js'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome']

/** Undefined when there is none. */
export function findBrowser(): string | undefined {
  const given = process.env.TEST_BROWSER
  if (given) return given
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(isExecutable)
}

/** Installs one where none is found and we may. @throws what the package manager said */
export async function provideBrowser(): Promise<string | undefined> {
  if (findBrowser() === undefined && canInstall()) await installPackages('chromium')
  return findBrowser()
}

export const NO_BROWSER =
  'NO BROWSER: tests of the dashboard in a browser are skipped; install chromium, or name one in TEST_BROWSER'

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    // Not there, or not ours to run: the next place is looked at.
    return false
  }
}
