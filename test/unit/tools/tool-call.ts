/**
 * Calling the standard tools as the loop does.
 */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { standardTools, type Toolbox } from '../../../src/runtimes/tools/toolbox.js'

export const temporaryWorkspace = (): Promise<string> => mkdtemp(join(tmpdir(), 'workspace-'))

/** Whose call it is. */
export const HOLDER = { tenant: 'acme', owner: 'ann', sessionId: 'session_000_test', orchestratorId: 'main' } as const

/** Calls a tool; `signal` never fires unless given. */
export function caller(workspace: string, tools: Toolbox = standardTools(), signal = new AbortController().signal) {
  const outcome = (name: string, input: Record<string, unknown>) =>
    tools.run({ callId: 'c', name, input }, { ...HOLDER, workspace, signal })
  return {
    outcome,
    /** The result; throws the sentence of a failed outcome. */
    async result(name: string, input: Record<string, unknown>) {
      const ended = await outcome(name, input)
      if (ended.status === 'failed') throw new Error(ended.error)
      return ended.result
    },
  }
}
