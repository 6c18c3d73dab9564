/**
 * A page that gives a session a task and shows its answer as it is written. `?url=` says where the service is; the page's own
 * host otherwise.
 *
 *   esbuild main.ts --bundle --format=esm --outfile=main.js
 */
import { type Client, connect } from '@wundr.io/orchestrator-daemon/client'

const form = find('form')
const status = find('p')
const answer = find('pre')
const url = new URLSearchParams(location.search).get('url') ?? `${location.origin.replace(/^http/, 'ws')}/ws`

const client = await connect({
  url,
  onConnection: (state) => {
    status.textContent = state === 'lost' ? 'connection lost, going on by itself' : 'connected'
  },
})
status.textContent = 'connected'
form.addEventListener('submit', (event) => {
  event.preventDefault()
  void run(client, String(new FormData(form).get('task')))
})

async function run(client: Client, task: string): Promise<void> {
  answer.textContent = ''
  const session = await client.spawn({ sessionType: 'llm', task })
  for await (const message of session) {
    if (message.type === 'stream_chunk') answer.append(message.data.chunk)
    if (message.type === 'task_completed' || message.type === 'task_failed' || message.type === 'task_cancelled') {
      status.textContent = message.type
      break
    }
  }
}

function find<Name extends keyof HTMLElementTagNameMap>(name: Name): HTMLElementTagNameMap[Name] {
  const element = document.querySelector(name)
  if (!element) throw new Error(`the page has no <${name}>`)
  return element
}
