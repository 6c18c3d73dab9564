/**
 * The vendor's messages API as a real Claude Code meets it, offline: it follows a script that the test writes, keeps every
 * request, and counts what was asked for beside the messages endpoint.
 */
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type FixtureOpts, LLMock } from '@copilotkit/aimock'

/** What the model is told, as one text, and whether the last of it is a tool's result. */
export interface Asked {
  /** The text of the last user message or tool result. */
  readonly last: string
  readonly isToolResult: boolean
  /** Everything that was said, as JSON. */
  readonly all: string
  readonly system: string
  /** Names of the tools that are offered. */
  readonly tools: readonly string[]
}

export interface Says {
  readonly text?: string
  readonly calls?: readonly { readonly name: string; readonly input: object }[]
  readonly fail?: { readonly status: number; readonly type: string; readonly message: string }
}

export interface ClaudeVendor {
  readonly url: string
  /** Every request that came, as `POST /v1/messages`, with the key that it was made with. */
  readonly requests: { readonly line: string; readonly key: string }[]
  /** What was asked, oldest first. */
  readonly asked: Asked[]
  stop(): Promise<void>
}

export interface ClaudeVendorOptions {
  readonly tokensPerSecond?: number
}

/** Answers by `script`; text is streamed in pieces of 8 characters. */
export async function startClaudeVendor(
  script: (asked: Asked) => Says,
  { tokensPerSecond = 0 }: ClaudeVendorOptions = {},
): Promise<ClaudeVendor> {
  const requests: { line: string; key: string }[] = []
  const asked: Asked[] = []
  const pace: FixtureOpts = {
    chunkSize: 8,
    streamingProfile: { ttft: 0, ...(tokensPerSecond > 0 && { tps: tokensPerSecond }) },
  }
  const mock = new LLMock({ port: 0, host: '127.0.0.1' })
  mock.on(
    {},
    (request) => {
      const question = askedIn(request as unknown as Request)
      asked.push(question)
      return answerOf(script(question)) as never
    },
    pace,
  )
  await mock.start()
  const door = createServer((request, response) => pass(request, response, mock.url, requests))
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(door.address() as AddressInfo).port}`,
    requests,
    asked,
    stop: async () => {
      door.closeAllConnections()
      door.close()
      await mock.stop()
    },
  }
}

function pass(request: IncomingMessage, response: ServerResponse, to: string, seen: ClaudeVendor['requests']): void {
  seen.push({
    line: `${request.method} ${(request.url ?? '').split('?')[0]}`,
    key: String(request.headers['x-api-key']),
  })
  const { host: _host, ...headers } = request.headers
  const upstream = forward(`${to}${request.url}`, { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    answer.pipe(response)
  })
  upstream.on('error', () => response.destroy())
  response.on('close', () => upstream.destroy())
  request.pipe(upstream)
}

/** As aimock gives it: in OpenAI's shape. */
interface Request {
  readonly messages: readonly { readonly role: string; readonly content: unknown }[]
  readonly tools?: readonly { readonly function?: { readonly name: string } }[]
}

function askedIn({ messages, tools = [] }: Request): Asked {
  const said = messages.filter(({ role }) => role !== 'system')
  const last = said.at(-1)
  return {
    last: textIn(last?.content),
    isToolResult: last?.role === 'tool',
    all: JSON.stringify(said),
    system: messages.flatMap(({ role, content }) => (role === 'system' ? [textIn(content)] : [])).join('\n'),
    tools: tools.flatMap((tool) => tool.function?.name ?? []),
  }
}

const textIn = (content: unknown): string => (typeof content === 'string' ? content : JSON.stringify(content ?? ''))

function answerOf({ text = '', calls = [], fail }: Says): object {
  if (fail) return { status: fail.status, error: { type: fail.type, message: fail.message } }
  const usage = { input_tokens: 20, output_tokens: 5 }
  if (calls.length === 0) return { content: text, usage }
  const blocks = calls.map(({ name, input }) => ({ type: 'toolCall', name, arguments: JSON.stringify(input) }))
  return { blocks: [...(text === '' ? [] : [{ type: 'text', text }]), ...blocks], usage }
}
