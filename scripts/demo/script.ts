/**
 * What the scripted model says at each point of a conversation. It has no knowledge and no state: everything follows from
 * the messages, so any worker may ask it to go on with an answer that another worker began.
 */
import type { ChatCompletionRequest } from '@copilotkit/aimock'

/** Stands at the start of an answer whose continuation was asked for with a text this model never wrote. */
export const WRONG_PREFIX = '[scripted model: the text shown is not the beginning of my answer]'

const MAX_COUNT = 100_000
const CHARS_PER_TOKEN = 4
const WORDS =
  'amber birch cedar delta ember flint grove heron iris jade kelp larch maple north olive pearl quartz'.split(' ')

/** The text of `Count to count`. */
export function numberedWords(count: number): string {
  return Array.from({ length: count }, (_, i) => `${i + 1} ${WORDS[i % WORDS.length]}`).join(' ')
}

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
export function answerTo(request: ChatCompletionRequest) {
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

/** Copy when the task says what, list, read and count, write, close. `task` makes the call ids of two tasks of a session differ. */
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
  const copy = /`(cp [^`\n]+)`/.exec(text)?.[1]
  if (copy !== undefined && resultOf('copy') === undefined) {
    return {
      content: 'I begin by copying the sources into my workspace.',
      toolCalls: [call('copy', 'bash_execute', { command: copy })],
    }
  }
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
  if (read !== undefined) findings.push(`${field(read, 'path')} has ${field(read, 'size')} bytes${beginning(read)}`)
  return findings
}

/** The heading that a Markdown file begins with. */
function beginning(read: string): string {
  const heading = /^# (.+)/.exec(String(field(read, 'content')))?.[1]
  return heading === undefined ? '' : ` and begins with "${heading}"`
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
