/**
 * Calls of the docker program, each within a time.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Questions are answered at once; what takes longer says how long. */
const DEFAULT_TIMEOUT_MS = 30_000
/** A build prints some hundred KB. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024
/** Of what a call printed, for the message when it fails. */
const KEPT_LINES = 40

/** Of our environment: what the programs need, and nothing that would win over the settings of a .env. */
const PASSED = /^(PATH|HOME|TMPDIR|DOCKER_.+|.+_proxy|npm_config_.+|SSL_CERT_.+)$/i

export interface CallOptions {
  readonly timeoutMs?: number
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** What it printed. @throws Error with the end of what it printed when it fails, or takes too long. */
export const docker = (args: readonly string[], options: CallOptions = {}): Promise<string> =>
  call('docker', args, options)

/** The same for another program. */
export async function call(program: string, args: readonly string[], options: CallOptions = {}): Promise<string> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, env, cwd } = options
  try {
    const { stdout } = await run(program, [...args], {
      ...{ timeout: timeoutMs, maxBuffer: MAX_OUTPUT_BYTES, ...(cwd !== undefined && { cwd }) },
      env: { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED.test(name))), ...env },
    })
    return stdout.trim()
  } catch (cause) {
    throw new Error(`${[program, ...args].join(' ')}: ${reasonOf(cause, timeoutMs)}`, { cause })
  }
}

function reasonOf(error: unknown, timeoutMs: number): string {
  const { killed, stdout = '', stderr = '' } = error as { killed?: boolean; stdout?: string; stderr?: string }
  const printed = `${stdout}\n${stderr}`.trim().split('\n').slice(-KEPT_LINES).join('\n')
  return `${killed ? `not done within ${timeoutMs / 1_000} s` : 'failed'}\n${printed || String(error)}`
}
