/**
 * The files that deploy the service, as tests see them: read and parsed, or rendered by the tools that people use.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { allSettings } from '../../src/config/schema.js'

const ROOT = new URL('../../', import.meta.url)

/** A tool that takes longer hangs, for example on a network that it should not need. */
const TOOL_TIMEOUT_MS = 30_000

export const readText = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8')

/** Paths of files below a folder, from the root of the repository. */
export function filesUnder(folder: string, ending: string): string[] {
  return readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending))
    .map((path) => `${folder}/${path}`)
    .sort()
}

/** All documents of a YAML text. Throws on what YAML forbids, such as a key that stands there twice. */
export function parseYaml(text: string): unknown[] {
  return parseAllDocuments(text, { merge: true, uniqueKeys: true })
    .map((document) => {
      const [error] = 'errors' in document ? document.errors : []
      if (error) throw error
      return document.toJS() as unknown
    })
    .filter((value) => value !== null)
}

/** Every name that a setting goes by in the environment. */
export const settingNames = (): ReadonlySet<string> =>
  new Set(allSettings().flatMap(({ setting }) => [setting.env, ...setting.aliases]))

/** Runs a tool from the root of the repository, with `env` and nothing that the developer has set. */
export function runTool(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { PATH, HOME } = process.env
  return spawnSync(program, args, {
    cwd: fileURLToPath(ROOT),
    encoding: 'utf8',
    timeout: TOOL_TIMEOUT_MS,
    env: { PATH, HOME, ...env },
  })
}

/** Output of a tool that must succeed. */
export function outputOf({ status, stdout, stderr }: SpawnSyncReturns<string>): string {
  if (status !== 0) throw new Error(`the tool ended with ${status}:\n${stderr}`)
  return stdout
}

/** Skips the test, saying so, when a tool cannot be had on this machine; `probe` is a call that ends with 0. */
export function needTool(context: TestContext, program: string, ...probe: string[]): void {
  const { status, error } = runTool(program, probe)
  if (status === 0) return
  const reason = `${[program, ...probe].join(' ')} does not work here (${error?.message ?? `exit code ${status}`})`
  process.stderr.write(`SKIPPED "${context.task.name}": ${reason}\n`)
  context.skip(reason)
}
