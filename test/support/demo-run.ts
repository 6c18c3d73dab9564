/**
 * Runs the demo as its user does, and returns what `--json` prints.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Several times what it needs on a busy machine. */
const TIMEOUT_MS = 150_000
/** The scripted model answers, whatever keys the developer has. */
const VENDOR = /^(OPENAI|ANTHROPIC)_/

export interface DemoRun {
  readonly exitCode: number | string | null | undefined
  readonly stderr: string
  /** Undefined when it printed no JSON. */
  readonly result: unknown
}

/** Throws when the build of this run failed, rather than showing an older one. */
export async function runDemo(...args: string[]): Promise<DemoRun> {
  if (process.env.TEST_BUILD_ERROR) throw new Error(`the build failed:\n${process.env.TEST_BUILD_ERROR}`)
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !VENDOR.test(name)))
  const options = { cwd: ROOT, env, timeout: TIMEOUT_MS }
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--import', 'tsx', 'scripts/demo/demo.ts', '--json', ...args],
      options,
      (error, stdout, stderr) => {
        const result: unknown = stdout.trim() === '' ? undefined : JSON.parse(stdout)
        resolve({ exitCode: error === null ? 0 : error.code, stderr, result })
      },
    )
  })
}
