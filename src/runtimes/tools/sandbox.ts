/**
 * A process namespace for commands, where the kernel grants one. Without it a command runs as our own user, so it can
 * read this process's environment under /proc, secrets included, and send signals to us. Inside it sees only itself.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** `unshare` starts in a few ms; a kernel that hangs on it is not one to use. */
const PROBE_TIMEOUT_MS = 2_000

const NAMESPACE = ['--pid', '--fork', '--mount-proc', '--kill-child'] as const
/** The kernel ends the namespace with us, even if whoever should (supervisor.sh) was killed together with us. */
const DIES_WITH_US = ['setpriv', '--pdeathsig', 'KILL'] as const
/** The first asks for root's rights, the second for user namespaces. Containers often grant neither. */
const CANDIDATES: readonly (readonly [string, ...string[]])[] = [
  [...DIES_WITH_US, 'unshare', ...NAMESPACE],
  [...DIES_WITH_US, 'unshare', '--user', '--map-current-user', ...NAMESPACE],
  ['unshare', ...NAMESPACE],
  ['unshare', '--user', '--map-current-user', ...NAMESPACE],
]

/** The words to put before a command, for `BashOptions.sandbox`; empty when this machine grants no namespace. */
export async function detectSandbox(): Promise<readonly string[]> {
  for (const candidate of CANDIDATES) {
    if (await works(candidate)) return candidate
  }
  return []
}

async function works([program, ...args]: readonly [string, ...string[]]): Promise<boolean> {
  try {
    await promisify(execFile)(program, [...args, 'true'], { timeout: PROBE_TIMEOUT_MS })
    return true
  } catch {
    return false // Not installed or not allowed: the next candidate, or none, is the answer.
  }
}
