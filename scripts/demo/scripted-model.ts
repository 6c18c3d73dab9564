/**
 * A model that follows a script, behind the vendors' real HTTP streaming protocols (OpenAI chat completions, Anthropic
 * messages). The demo and the tests talk to it when no vendor is configured; what it says stands in `script.ts`.
 *
 * It knows two tasks. `Count to N` streams numbered words (`1 amber 2 birch …`). A task with `report` in it runs the `cp`
 * command that it quotes, lists the workspace, reads a file, counts with bash, writes `report.md` and closes; each number
 * in the report comes from the tool results it was sent. Anything else gets one polite sentence.
 */
import { type ChatCompletionRequest, type Fixture, type FixtureOpts, LLMock } from '@copilotkit/aimock'
import { answerTo } from './script.js'

export { numberedWords } from './script.js'

export interface ScriptedModelOptions {
  /** 0 (default): a free port. */
  readonly port?: number
  /** Pace of the stream; 0 (default) sends everything at once. */
  readonly tokensPerSecond?: number
  /** Before the first token. */
  readonly firstTokenMs?: number
}

export interface ScriptedModel {
  /** For `OPENAI_BASE_URL`. */
  readonly openaiUrl: string
  /** For `ANTHROPIC_BASE_URL`. */
  readonly anthropicUrl: string
  /** Bodies of the requests that arrived, oldest first, in OpenAI's shape whichever vendor was spoken to. */
  requests(): readonly ChatCompletionRequest[]
  /** The next `times` answers end after `chunks` stream chunks, with the connection torn down. */
  cutNext(times: number, chunks: number): void
  /** The next `times` requests are refused with `status`. */
  failNext(times: number, status: number, error: Refusal): void
  stop(): Promise<void>
}

export interface Refusal {
  readonly message: string
  readonly type?: string
  readonly code?: string
  /** Seconds, for status 429. */
  readonly retryAfter?: number
}

const CHUNK_CHARS = 8
/** A torn connection drops what was not read yet; at this pace the chunks before the cut arrive. */
const CUT_PACE = { ttft: 0, tps: 200 }

export async function startScriptedModel(options: ScriptedModelOptions = {}): Promise<ScriptedModel> {
  const { port = 0, tokensPerSecond = 0, firstTokenMs = 0 } = options
  const pace: FixtureOpts = {
    chunkSize: CHUNK_CHARS,
    streamingProfile: { ttft: firstTokenMs, ...(tokensPerSecond > 0 && { tps: tokensPerSecond }) },
  }
  const mock = new LLMock({ port, host: '127.0.0.1' })
  mock.on({}, (request) => answerTo(request), pace)
  await mock.start()
  // For the next `times` requests only; the count falls when an answer is made, because a match may be tried twice.
  const next = (times: number, make: ResponseFactory, extra: FixtureOpts = {}) => {
    let left = times
    const response: ResponseFactory = (request) => {
      left--
      return make(request)
    }
    mock.prependFixture({ match: { predicate: () => left > 0 }, response, ...pace, ...extra })
  }
  return {
    openaiUrl: `${mock.url}/v1`,
    anthropicUrl: mock.url,
    requests: () => mock.getRequests().map(({ body }) => body as ChatCompletionRequest),
    cutNext: (times, chunks) => next(times, answerTo, { truncateAfterChunks: chunks, streamingProfile: CUT_PACE }),
    failNext: (times, status, { retryAfter, ...error }) =>
      next(times, () => ({ status, error, ...(retryAfter !== undefined && { retryAfter }) })),
    stop: () => mock.stop(),
  }
}

type ResponseFactory = Extract<Fixture['response'], (...args: never[]) => unknown>
