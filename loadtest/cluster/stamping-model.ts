/**
 * A model behind OpenAI's streaming protocol whose every piece of text says when it was written, so that whoever gets it
 * knows how long it took. `Stream 100` streams a hundred pieces.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const MS_PER_SECOND = 1_000
const US_PER_MS = 1_000
const MAX_PIECES = 10_000
const MAX_REQUEST_CHARS = 4_000_000
/** A stamp has ten digits in base 36 until the year 2085. */
const RADIX = 36
/** In ms, prime to any usual interval: neighbours are far apart, and all phases are used. */
const PHASE_STEP = 7

export interface StampingModel {
  /** For `OPENAI_BASE_URL`. */
  readonly url: string
  stop(): Promise<void>
}

/** The pace of all answers. They stream independently of each other: their pieces are spread, however they began. */
class Pace {
  #answers = 0

  constructor(readonly intervalMs: number) {}

  /** For how many ms the next answer waits before its first piece. */
  nextPhase(): number {
    return (this.#answers++ * PHASE_STEP) % this.intervalMs
  }
}

/** Every answer streams at this pace. */
export async function startStampingModel(piecesPerSecond: number): Promise<StampingModel> {
  const pace = new Pace(MS_PER_SECOND / piecesPerSecond)
  const server = createServer((request, response) => {
    void answer(request, response, pace).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** µs since 1970, and a space: the piece that is written now. */
export const stamp = (): string =>
  `${Math.round((performance.timeOrigin + performance.now()) * US_PER_MS).toString(RADIX)} `

async function answer(request: IncomingMessage, response: ServerResponse, pace: Pace): Promise<void> {
  const count = wantedPieces(await textOf(request))
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const startedAt = performance.now() + pace.nextPhase()
  let written = 0
  let timer: NodeJS.Timeout | undefined
  const write = (): void => {
    // Timers are late; what is due by now goes out now, so that the pace holds.
    for (; written < count && startedAt + written * pace.intervalMs <= performance.now(); written++) {
      response.write(chunk({ content: stamp() }, null))
    }
    if (written === count) end(response, count)
    else timer = setTimeout(write, startedAt + written * pace.intervalMs - performance.now())
  }
  write()
  response.once('close', () => clearTimeout(timer))
}

function end(response: ServerResponse, count: number): void {
  response.write(chunk({}, 'stop'))
  response.write(chunk(undefined, null, { prompt_tokens: 1, completion_tokens: count, total_tokens: count + 1 }))
  response.end('data: [DONE]\n\n')
}

function chunk(delta: object | undefined, finish: string | null, usage?: object): string {
  const choices = delta === undefined ? [] : [{ index: 0, delta, finish_reason: finish }]
  const body = { id: 'stamped', object: 'chat.completion.chunk', created: 0, model: 'stamping', choices, usage }
  return `data: ${JSON.stringify(body)}\n\n`
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of request) {
    text += part
    if (text.length > MAX_REQUEST_CHARS) throw new Error('the request is too long')
  }
  return text
}

/** What the last message asks for. */
function wantedPieces(body: string): number {
  const { messages = [] } = JSON.parse(body) as { messages?: readonly { readonly content?: unknown }[] }
  const asked = JSON.stringify(messages.at(-1)?.content ?? '')
  return Math.min(MAX_PIECES, Number(/Stream (\d+)/.exec(asked)?.[1] ?? 1))
}
