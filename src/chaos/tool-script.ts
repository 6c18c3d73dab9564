/**
 * What a task of the load asks of the fake model: which tools it calls, one after the other, and how much it says. The
 * script stands in the task's description, so the model knows it from the conversation alone, on whatever worker.
 */

/** `once` and `read` are requests to the fake tool server, `bash` is a command line that makes one, `write` writes a file. */
export type ScriptStep = 'once' | 'bash' | 'read' | 'write'

export interface ToolScript {
  readonly command: string
  readonly steps: readonly ScriptStep[]
  /** Of the last answer. */
  readonly words: number
  /** Brings down the worker that runs it. */
  readonly poison?: true
}

const MARK = '{"script":'
const SCRIPT = /\{"script":(\{[^\n]*\})\}/

export const scriptText = (script: ToolScript): string => `${MARK}${JSON.stringify(script)}}`

export function scriptIn(text: string): ToolScript | undefined {
  const body = SCRIPT.exec(text)?.[1]
  return body === undefined ? undefined : (JSON.parse(body) as ToolScript)
}

/** The words of the last answer: the same on every call, so that an answer that was cut can be continued exactly. */
export const answerText = ({ command, words }: ToolScript): string =>
  Array.from({ length: words }, (_, index) => `${command}/${index + 1} `).join('')

/** Ids of tool calls are the model's to choose; these say where they come from. */
export const callId = (command: string, step: number): string => `${command}.${step}`
