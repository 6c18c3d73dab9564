/**
 * A vendor of models that answers every call with one word and counts the tokens that the test wants.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface CountingVendor {
  /** For OPENAI_BASE_URL. */
  readonly url: string
  /** Calls that were answered. */
  readonly calls: number
  /** What each of them sent. */
  readonly requests: readonly Readonly<Record<string, unknown>>[]
  stop(): void
}

export async function countingVendor(
  promptTokens: number,
  completionTokens: number,
  delayMs = 0,
): Promise<CountingVendor> {
  let calls = 0
  const requests: Record<string, unknown>[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request) text += piece
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
    calls += 1
    requests.push(JSON.parse(text) as Record<string, unknown>)
    const chunk = (more: object) => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', ...more })}\n\n`
    const usage = {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(chunk({ choices: [{ index: 0, delta: { content: 'done' }, finish_reason: null }] }))
    response.write(chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }))
    response.write(chunk({ choices: [], usage }))
    response.end('data: [DONE]\n\n')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    get calls() {
      return calls
    },
    requests,
    stop: () => server.close(),
  }
}
