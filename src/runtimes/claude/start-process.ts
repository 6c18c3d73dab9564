/**
 * Starts Claude Code for a session: in its directory, with its conversation where there is one, and with nothing of this
 * machine but what it is given.
 */
import type { Options } from '@anthropic-ai/claude-agent-sdk'
import type { ToolRequest } from '../../models/model.js'
import type { SessionType } from '../../protocol/session.js'
import type { EffectClass, Turn } from '../runtime.js'
import type { Supervisor } from '../tools/supervisor.js'
import { type Guard, spawnGuarded } from './child.js'
import { ClaudeProcess } from './claude-process.js'
import { environment, openHome, type ProcessHome } from './environment.js'
import { CannotResume } from './failure.js'
import type { ModelGateway, Pass } from './model-gateway.js'
import { UNATTENDED } from './prompts.js'
import { type Sdk, withInstallHint } from './sdk.js'
import { claudeSessionId, type OwnedTranscript, ownTranscript, type Transcripts } from './transcript.js'

/** What makes one session type different from another. */
export interface ClaudeKind {
  readonly type: SessionType
  effectOf(tool: string, input: ToolRequest['input']): EffectClass
  /** Said to the model beside what every session is told. */
  readonly instructions?: string
  /** What its processes see beside what all see. */
  readonly environment?: Readonly<Record<string, string>>
  /** What it adds to the options of a process that starts, such as tools and agents. */
  options(): Partial<Options>
}

export interface StartOptions {
  readonly turn: Turn
  readonly kind: ClaudeKind
  readonly sdk: Sdk
  /** Of sessions that name none. */
  readonly model: string
  /** In place of the one that the SDK brings. */
  readonly program?: string | undefined
  readonly transcripts: Transcripts
  readonly gateway: ModelGateway
  readonly sandbox: readonly string[]
  readonly supervisor?: Pick<Supervisor, 'watch'>
  /** Whether the conversation is to begin anew, whatever is kept of it. */
  readonly anew: boolean
}

/** @throws CannotResume; ServiceError `unavailable`, `runtime_missing`; an error when nobody can watch over it */
export async function startProcess(start: StartOptions): Promise<ClaudeProcess> {
  const { turn, kind, gateway } = start
  const home = await openHome()
  const pass = gateway.issuePass()
  const onGone = () => {
    gateway.revoke(pass)
    // What it had open may linger for a moment; a directory that stays behind harms nobody.
    home.remove().catch(() => undefined)
  }
  try {
    const [address, watch, transcript] = await Promise.all([
      gateway.address(),
      start.supervisor?.watch(),
      ownTranscript(start.transcripts, turn, start.anew),
    ])
    if (transcript.broken !== undefined) throw new CannotResume(transcript.broken)
    return launch(start, { home, pass, onGone, address, transcript, watch })
  } catch (error) {
    onGone()
    throw error instanceof CannotResume ? error : withInstallHint(kind.type, error)
  }
}

interface Surroundings {
  readonly home: ProcessHome
  readonly pass: Pass
  readonly onGone: () => void
  /** Of the gateway. */
  readonly address: string
  readonly transcript: OwnedTranscript
  readonly watch: Guard['watch']
}

function launch({ turn, kind, sdk, model, program, sandbox }: StartOptions, around: Surroundings): ClaudeProcess {
  const { home, pass, onGone, address, transcript, watch } = around
  const id = claudeSessionId(turn.sessionId)
  const options: Options = {
    ...baseOptions(turn, kind, model),
    ...(program !== undefined && { pathToClaudeCodeExecutable: program }),
    ...kind.options(),
    ...(transcript.isBegun ? { resume: id } : { sessionId: id }),
    env: { ...environment(home, address, pass.key), ...kind.environment },
    sessionStore: transcript.store,
  }
  return new ClaudeProcess({
    pass,
    onGone,
    isResumed: transcript.isBegun,
    scratch: home.scratch,
    start: (prompt, hooks, onChild) => {
      const spawnClaudeCodeProcess: Options['spawnClaudeCodeProcess'] = (wanted) => {
        const child = spawnGuarded({ sandbox, watch }, wanted)
        onChild(child)
        return child.process
      }
      return sdk.query({ prompt, options: { ...options, ...hooks, spawnClaudeCodeProcess } })
    },
  })
}

const baseOptions = (turn: Turn, { instructions }: ClaudeKind, model: string): Options => ({
  cwd: turn.workspace,
  model: turn.options.model ?? model,
  systemPrompt: {
    type: 'preset',
    preset: 'claude_code',
    append: instructions ? `${UNATTENDED}\n\n${instructions}` : UNATTENDED,
  },
  // Nothing of this machine's user, nor of a project, changes what a session may do.
  settingSources: [],
  strictMcpConfig: true,
  includePartialMessages: true,
  permissionMode: 'default',
  sessionStoreFlush: 'eager',
})
