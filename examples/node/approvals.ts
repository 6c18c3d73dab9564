/**
 * Shows the tool calls that wait for a person, one after the other, and asks what to answer. Ends when none waits.
 *
 *   approvals.ts [url]
 */
import { createInterface } from 'node:readline/promises'
import { ClientError, connect } from '@wundr.io/orchestrator-daemon/client'

const [url = 'ws://127.0.0.1:8787'] = process.argv.slice(2)
const token = process.env.DAEMON_TOKEN

const client = await connect({ url, ...(token !== undefined && { token }) })
const person = createInterface({ input: process.stdin, output: process.stdout })
for (;;) {
  const { approvals } = await client.approvals({ limit: 1 })
  const [waiting] = approvals
  if (!waiting) break
  console.log(`${waiting.toolName} in ${waiting.sessionId}: ${waiting.reason}`)
  const answer = await person.question('approve? [y/n] ')
  const decision = answer.trim() === 'y' ? 'approve' : 'reject'
  try {
    await client.decide(waiting, decision)
    console.log(decision === 'approve' ? 'approved' : 'rejected')
  } catch (error) {
    // Somebody else was faster.
    if (!(error instanceof ClientError) || error.code !== 'approval_closed') throw error
    console.log('already decided')
  }
}
console.log('nothing waits')
person.close()
client.close()
