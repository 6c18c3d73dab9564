/**
 * Who sits at this shell, as the audit log names them.
 */
import { hostname, userInfo } from 'node:os'

/** `user@host`; a user without a name, as containers have them, is shown by number. */
export function operator(): string {
  return `${userName()}@${hostname()}`
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown')
  }
}
