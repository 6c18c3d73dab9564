/**
 * Tells systemd that the daemon is ready, where it is a service of `Type=notify`. Node.js cannot write to the socket of
 * systemd (a Unix datagram socket), so systemd's own program does.
 */
import { execFile } from 'node:child_process'

const PROGRAM = 'systemd-notify'
const TIMEOUT_MS = 5_000

/** `env` names the socket, where anybody wants to know. */
export function tellServiceManager(env: NodeJS.ProcessEnv, onError: (error: Error) => void): void {
  if (!env.NOTIFY_SOCKET) return
  execFile(PROGRAM, ['--ready'], { env, timeout: TIMEOUT_MS }, (error) => {
    if (error) onError(error)
  })
}
