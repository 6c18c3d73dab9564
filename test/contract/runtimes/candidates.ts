/**
 * Every session type, with tasks that make it do what the suite looks at.
 */
import { costOf } from '../../../src/budget/prices.js'
import { selectModel } from '../../../src/models/select.js'
import type { SessionType } from '../../../src/protocol/session.js'
import { Echo } from '../../../src/runtimes/echo.js'
import { LlmLoop } from '../../../src/runtimes/llm-loop.js'
import type { Runtime } from '../../../src/runtimes/runtime.js'
import { standardTools } from '../../../src/runtimes/tools/toolbox.js'
import { claudeCluster } from '../../support/claude-cluster.js'
import type { Asked, Says } from '../../support/claude-vendor.js'
import type { WorkerCluster } from '../../support/worker-cluster.js'

export interface Candidate {
  readonly type: SessionType
  /** A task that ends at once. */
  readonly quick: string
  /** A task that streams for some seconds, and what its answer is: whole, however many workers wrote it. */
  readonly slow: string
  readonly slowAnswer: RegExp
  /** A task that calls this tool once; undefined for a type without tools. */
  readonly tool: { readonly task: string; readonly name: string } | undefined
  /** A task that fails, and its code. */
  readonly fail: { readonly task: string; readonly code: string }
}

const COUNT = 300

const ECHO: Candidate = {
  type: 'echo',
  quick: 'hello',
  slow: JSON.stringify({ count: COUNT, bytes: 8, delayMs: 10 }),
  slowAnswer: new RegExp(`^1\\.+ 2\\.+ .*${COUNT}\\.+ $`),
  tool: undefined,
  fail: { task: JSON.stringify({ count: 0 }), code: 'invalid_payload' },
}

const modelled = (type: SessionType, tool: string): Candidate => ({
  type,
  quick: 'hello',
  slow: 'Count slowly',
  // Whoever goes on adds the rest; nobody begins anew.
  slowAnswer: new RegExp(`^n0 n1 n2 .*(n${COUNT - 1}| and the rest)$`),
  tool: { task: 'Use the tool', name: tool },
  fail: { task: 'Fail', code: 'model_invalid_request' },
})

export const CANDIDATES: readonly Candidate[] = [
  ECHO,
  modelled('llm', 'bash_execute'),
  modelled('claude-code', 'Bash'),
  modelled('claude-flow', 'mcp__swarm__task_create'),
]

const INPUTS: Readonly<Record<string, object>> = {
  bash_execute: { command: 'echo made > made.txt' },
  Bash: { command: 'echo made > made.txt', description: 'x' },
  mcp__swarm__task_create: { description: 'made' },
}

function answer({ last, isToolResult }: Asked, tool: string): Says {
  if (isToolResult) return { text: 'The tool has answered.' }
  if (last.includes('Continue exactly after its last character')) return { text: ' and the rest' }
  // Vendors see tasks without an answer between them as one message: the later one counts.
  if (last.includes('hello')) return { text: 'Hello.' }
  if (last.includes('Count slowly')) return { text: Array.from({ length: COUNT }, (_, n) => `n${n}`).join(' ') }
  if (last.includes('Use the tool')) return { text: 'I will.', calls: [{ name: tool, input: INPUTS[tool] ?? {} }] }
  if (last.includes('Fail')) return { fail: { status: 400, type: 'invalid_request_error', message: 'no' } }
  throw new Error(`a task that nobody gave: ${last}`)
}

/** A cluster of workers that run the candidate's sessions. Ends with the test. */
export async function clusterFor({ type, tool }: Candidate): Promise<WorkerCluster> {
  const extra = (url: string): Partial<Record<SessionType, Runtime>> => ({ echo: new Echo(), llm: llm(url) })
  const { cluster } = await claudeCluster((asked) => answer(asked, tool?.name ?? ''), { tokensPerSecond: 100, extra })
  await cluster.takeOver(`${type}-1`)
  return cluster
}

function llm(anthropicBaseUrl: string): Runtime {
  const settings = {
    openaiModel: 'unused',
    anthropicModel: 'claude-sonnet-4-6',
    anthropicApiKey: 'k',
    anthropicBaseUrl,
  }
  return new LlmLoop({ selectModel: () => selectModel(settings), costOf, tools: standardTools() })
}
