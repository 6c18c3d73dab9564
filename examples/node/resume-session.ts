/**
 * Follows a session and keeps its position in a file. However this program ends, by Ctrl-C, a crash or a lost machine, the
 * next one with the same file goes on with the very next character. Lost connections need nothing: the client sees to them.
 *
 *   resume-session.ts <url> <session> <file>
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { connect, FROM_START, type Position } from '@wundr.io/orchestrator-daemon/client'

const [url = '', sessionId = '', file = ''] = process.argv.slice(2)
const token = process.env.DAEMON_TOKEN

const client = await connect({
  url,
  ...(token !== undefined && { token }),
  onConnection: (state) => console.error(`connection ${state}`),
})
const session = await client.attach(sessionId, positionIn(file))
for await (const message of session) {
  if (message.type === 'stream_chunk') process.stdout.write(message.data.chunk)
  // What was shown is noted after it was shown: after a crash in between it is shown once more, never left out.
  keepPosition(file, session.position)
  if (message.type === 'task_completed' || message.type === 'task_failed' || message.type === 'task_cancelled') break
}
client.close()

/** By another name first: a program that is killed in the middle of writing leaves the former position whole. */
function keepPosition(path: string, position: Position): void {
  writeFileSync(`${path}.new`, JSON.stringify(position))
  renameSync(`${path}.new`, path)
}

function positionIn(path: string): Position {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Position
  } catch {
    return FROM_START // The first run.
  }
}
