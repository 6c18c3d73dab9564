/**
 * One session through the load balancer, by the client library.
 */
import { connect } from '../../src/client/client.js'
import type { Project } from './project.js'

/** A stream of a second. */
const TASK = { count: 25, bytes: 16, delayMs: 40 }
const TIMEOUT_MS = 30_000

/** What went wrong, in one sentence; undefined when every piece came once and in order, and the task ended. */
export async function firstSession(project: Project): Promise<string | undefined> {
  const client = await connect({ url: project.url, token: project.token })
  const late = setTimeout(() => client.close(), TIMEOUT_MS)
  try {
    const session = await client.spawn({ sessionType: 'echo', task: JSON.stringify(TASK) })
    let text = 0
    let pieces = 0
    for await (const message of session) {
      if (message.type === 'stream_chunk') {
        if (message.data.offset !== text) return `a piece began at ${message.data.offset} where ${text} was next`
        text += Buffer.byteLength(message.data.chunk)
        pieces += 1
      }
      if (message.type === 'task_failed') return `the task failed: ${message.code}`
      if (message.type === 'task_completed')
        return text >= TASK.count * TASK.bytes ? undefined : `only ${text} bytes came, in ${pieces} pieces`
    }
    return 'the session ended before its task'
  } finally {
    clearTimeout(late)
    client.close()
  }
}
