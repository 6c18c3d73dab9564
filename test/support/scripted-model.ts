/**
 * A model that follows a script, behind the vendors' real HTTP streaming protocols (OpenAI chat completions, Anthropic
 * messages). It has no knowledge and no state: what it answers follows from the conversation it is sent, so any worker
 * may ask it to go on with an answer that another worker began.
 *
 * It knows two tasks. `Count to N` streams numbered words (`1 amber 2 birch …`). A task with `report` in it lists the
 * workspace, reads a file, counts with bash, writes `report.md` and closes; each number in the report comes from the
 * tool results it was sent. Anything else gets one polite sentence.
 */
import { type ChatCompletionRequest, type Fixture, type FixtureOpts, LLMock } from '@copilotkit/aimock'

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

/** Stands at the start of an answer whose continuation was asked for with a text this model never wrote. */
export const WRONG_PREFIX = '[scripted model: the text shown is not the beginning of my answer]'

const CHUNK_CHARS = 8
/** A torn connection drops what was not read yet; at this pace the chunks before the cut arrive. */
const CUT_PACE = { ttft: 0, tps: 200 }
const MAX_COUNT = 100_000
const CHARS_PER_TOKEN = 4
const WORDS =
  'amber birch cedar delta ember flint grove heron iris jade kelp larch maple north olive pearl quartz'.split(' ')

/** The text of `Count to count`. */
export function numberedWords(count: number): string {
  return Array.from({ length: count }, (_, i) => `${i + 1} ${WORDS[i % WORDS.length]}`).join(' ')
}

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

type Message = ChatCompletionRequest['messages'][number]

interface Call {
  readonly id: string
  readonly name: string
  readonly arguments: string
}

interface Answer {
  readonly content: string
  readonly toolCalls: readonly Call[]
}

/** The whole answer, or what is left of it when the request shows its beginning and asks to continue. */
function answerTo(request: ChatCompletionRequest) {
  const messages = request.messages.filter(({ role }) => role !== 'system')
  const asked = messages.at(-1)
  const shown = messages.at(-2)
  const isContinuation = asked !== undefined && isContinuationPrompt(asked) && shown?.role === 'assistant'
  if (!isContinuation) return response(messages, script(messages))
  const whole = script(messages.slice(0, -2))
  const prefix = textOf(shown)
  const content = whole.content.startsWith(prefix) ? whole.content.slice(prefix.length) : `${WRONG_PREFIX} ${prefix}`
  return response(messages, { ...whole, content })
}

function response(messages: readonly Message[], { content, toolCalls }: Answer) {
  const prompt = tokensIn(JSON.stringify(messages))
  const completion = tokensIn(content + toolCalls.map((call) => call.arguments).join(''))
  const usage = {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    input_tokens: prompt,
    output_tokens: completion,
  }
  return toolCalls.length === 0 ? { content, usage } : { content, toolCalls: [...toolCalls], usage }
}

const tokensIn = (text: string): number => Math.ceil(text.length / CHARS_PER_TOKEN)

const isContinuationPrompt = (message: Message): boolean =>
  message.role === 'user' && /interrupted/i.test(textOf(message)) && /continue/i.test(textOf(message))

const textOf = ({ content }: Message): string =>
  typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join('')

/** What is said at this point of the conversation. */
function script(messages: readonly Message[]): Answer {
  const at = messages.findLastIndex((message) => message.role === 'user' && !isContinuationPrompt(message))
  const task = messages[at] === undefined ? '' : textOf(messages[at])
  const count = Number(/count to (\d+)/i.exec(task)?.[1] ?? 0)
  if (count > 0 && count <= MAX_COUNT) return { content: numberedWords(count), toolCalls: [] }
  if (/\breport\b/i.test(task)) return report(task, resultsAfter(messages, at), at)
  return {
    content: 'I am a scripted model: I can count to a number, or write a report on the workspace.',
    toolCalls: [],
  }
}

/** Results of the calls made since the task was given, by call id. */
function resultsAfter(messages: readonly Message[], task: number): ReadonlyMap<string, string> {
  const own = new Set(messages.slice(task + 1).flatMap((message) => message.tool_calls?.map(({ id }) => id) ?? []))
  const results = messages.filter(({ role, tool_call_id: id }) => role === 'tool' && id !== undefined && own.has(id))
  return new Map(results.map((message) => [message.tool_call_id ?? '', textOf(message)]))
}

/** List, then read and count, then write, then close. `task` makes the call ids of two tasks of a session differ. */
function report(text: string, results: ReadonlyMap<string, string>, task: number): Answer {
  const id = (step: string) => `call_${task}_${step}`
  const resultOf = (step: string) => results.get(id(step))
  const word = /["`']([^"`'\n]{1,60})["`']/.exec(text)?.[1] ?? 'export'
  const files = listedFiles(resultOf('list'))
  const call = (step: string, name: string, input: object): Call => ({
    id: id(step),
    name,
    arguments: JSON.stringify(input),
  })
  if (resultOf('list') === undefined) {
    return {
      content: 'I look at the files first.',
      toolCalls: [call('list', 'file_list', { path: '.', recursive: true })],
    }
  }
  if (resultOf('count') === undefined) {
    const first = files.find((path) => /readme/i.test(path)) ?? files[0]
    const read = first === undefined ? [] : [call('read', 'file_read', { path: first })]
    const command = countCommand(word)
    const content = `There are ${files.length} files. I read one of them and count the lines with "${word}".`
    return { content, toolCalls: [...read, call('count', 'bash_execute', { command })] }
  }
  const findings = findingsOf(files.length, word, resultOf('read'), resultOf('count'))
  if (resultOf('write') === undefined) {
    const content = `# Report\n\n${findings.map((line) => `- ${line}\n`).join('')}`
    return {
      content: 'Now I write the report.',
      toolCalls: [call('write', 'file_write', { path: 'report.md', content })],
    }
  }
  const written = field(resultOf('write'), 'size')
  return { content: `Done. ${findings.join('; ')}. The report is in report.md (${written} bytes).`, toolCalls: [] }
}

const countCommand = (word: string): string =>
  `grep -rIF --exclude-dir=.git --exclude-dir=.tmp --exclude=report.md -e '${word.replaceAll("'", '')}' . | wc -l`

function findingsOf(files: number, word: string, read: string | undefined, count: string | undefined): string[] {
  const lines = String(field(count, 'stdout')).trim()
  const findings = [`${files} files in the workspace`, `${lines} lines contain "${word}"`]
  if (read !== undefined) findings.push(`${field(read, 'path')} has ${field(read, 'size')} bytes`)
  return findings
}

/** Paths of the files in a file_list result, without the report of an earlier task. */
function listedFiles(result: string | undefined): string[] {
  const files = field(result, 'files')
  if (!Array.isArray(files)) return []
  const known = files as readonly { readonly type: string; readonly path: string }[]
  return known.filter(({ type, path }) => type === 'file' && path !== 'report.md').map(({ path }) => path)
}

/** A field of a tool's JSON result. A failed call has a sentence instead, which then stands in the report to be seen. */
function field(result: string | undefined, name: string): unknown {
  try {
    return (JSON.parse(result ?? '{}') as Record<string, unknown>)[name]
  } catch {
    return `(failed: ${result})`
  }
}
