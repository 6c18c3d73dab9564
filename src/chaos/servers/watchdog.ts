/**
 * Cleans up when this process cannot: a tiny shell that outlives us, reads what to watch from its stdin, and when that
 * pipe closes (exit, Ctrl-C, kill -9) ends the servers and removes the folders that are still on its list.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const FOLDER_PREFIX = 'orchestrator-servers-'

// One entry per line: `<signal>=<pid>`, `container=<id>` or `folder=<path>`. Folders go last, after their servers.
const SCRIPT = `
IFS='
'
list=''
while read -r line; do
  verb=\${line%% *} entry=\${line#* }
  case $verb in
    watch) list="$list
$entry" ;;
    forget) rest=''
      for each in $list; do [ "$each" = "$entry" ] || rest="$rest
$each"; done
      list=$rest ;;
  esac
done
for each in $list; do
  value=\${each#*=}
  case $each in
    folder=*) ;;
    container=*) docker rm -f "$value" ;;
    *) kill -s "\${each%%=*}" "$value" ;;
  esac
done
sleep 1
for each in $list; do
  case $each in folder=*/${FOLDER_PREFIX}*) rm -rf "\${each#*=}" ;; esac
done
`

/** What must not outlive this process: a process with the signal that ends it, a container, or a temporary folder. */
export type Watched = `${'KILL' | 'QUIT'}=${number}` | `container=${string}` | `folder=${string}`

let shell: ChildProcess | undefined

/** From now on `entry` is ended when this process is gone, however it went. */
export function watch(entry: Watched): void {
  shell ??= startShell()
  shell.stdin?.write(`watch ${entry}\n`)
}

/** Takes an entry off the list, after it was ended in the regular way. */
export function forget(entry: Watched): void {
  shell?.stdin?.write(`forget ${entry}\n`)
}

/** A temporary folder that other users can enter, because PostgreSQL may have to run as one. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), FOLDER_PREFIX))
  watch(`folder=${path}`)
  return {
    path,
    remove() {
      rmSync(path, { recursive: true, force: true, maxRetries: 3 })
      forget(`folder=${path}`)
    },
  }
}

// Detached, so that Ctrl-C in the terminal does not take the watchdog along with those it watches.
function startShell(): ChildProcess {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'server-watchdog'], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  })
  child.unref()
  const stdin = child.stdin as (NodeJS.WritableStream & { unref?(): void }) | null
  stdin?.unref?.()
  return child
}
