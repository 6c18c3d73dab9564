/**
 * A vendor of models that has one command run in a shell, or fails with everything in its sentence that it was sent: the key
 * first of all, as careless vendors do.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface EchoingVendor {
  /** For OPENAI_BASE_URL. */
  readonly url: string
  /** Conversations that were sent, as JSON. */
  readonly heard: string[]
  stop(): void
}

const FAILURE = /fail with (\d{3})/
const COMMAND = /run `([^`]+)`/
/** Of a budget of a million. */
const MUCH = 950_000

export async function echoingVendor(): Promise<EchoingVendor> {
  const heard: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    heard.push(body)
    answer(request, body, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/v1`, heard, stop: () => server.close() }
}

interface ChatMessage {
  readonly role: string
  readonly content?: unknown
}

function answer(request: IncomingMessage, body: string, response: ServerResponse): void {
  const { messages } = JSON.parse(body) as { messages: readonly ChatMessage[] }
  const task = String(messages.findLast(({ role }) => role === 'user')?.content ?? '')
  const status = Number(FAILURE.exec(task)?.[1] ?? 0)
  if (status > 0) {
    const message = `not with the key ${request.headers.authorization?.replace('Bearer ', '')} (${request.headers.authorization})`
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: { message } }))
    return
  }
  const command = COMMAND.exec(task)?.[1]
  const hasRun = messages.at(-1)?.role === 'tool'
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const tokens = task.includes('use much') ? MUCH : 1
  if (command === undefined || hasRun) stream(response, { content: 'done' }, 'stop', tokens)
  else stream(response, { tool_calls: [callOf(command)] }, 'tool_calls', tokens)
}

const callOf = (command: string) => ({
  ...{ index: 0, id: `call_${Date.now()}`, type: 'function' },
  function: { name: 'bash_execute', arguments: JSON.stringify({ command }) },
})

function stream(response: ServerResponse, delta: object, reason: string, tokens: number): void {
  const chunk = (more: object) => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', ...more })}\n\n`
  response.write(chunk({ choices: [{ index: 0, delta: { role: 'assistant', ...delta }, finish_reason: null }] }))
  response.write(chunk({ choices: [{ index: 0, delta: {}, finish_reason: reason }] }))
  response.write(
    chunk({ choices: [], usage: { prompt_tokens: tokens, completion_tokens: 1, total_tokens: tokens + 1 } }),
  )
  response.end('data: [DONE]\n\n')
}
