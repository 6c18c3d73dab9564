/**
 * Gives a new session a task, and shows its text and its tool calls as they come.
 *
 *   stream-session.ts [url] [task]
 */
import { connect } from '@wundr.io/orchestrator-daemon/client'

const [url = 'ws://127.0.0.1:8787', task = 'Which of my files is the longest?'] = process.argv.slice(2)
const token = process.env.DAEMON_TOKEN

const client = await connect({ url, ...(token !== undefined && { token }) })
const session = await client.spawn({ sessionType: 'llm', task })
for await (const message of session) {
  if (message.type === 'stream_chunk') process.stdout.write(message.data.chunk)
  if (message.type === 'stream_end') process.stdout.write('\n')
  if (message.type === 'tool_call_start') console.log(`→ ${message.data.toolName}`)
  if (message.type === 'tool_call_result') console.log(`← ${message.data.status}`)
  if (message.type === 'task_completed' || message.type === 'task_failed' || message.type === 'task_cancelled') break
}
const end = await session.result()
console.log(`${end.type} after ${end.usage.completionTokens} tokens`)
client.close()
