/**
 * One run of a task: announces it, lets the runtime work under the journal, and records how it ended. A turn that a
 * former owner left goes on from its last recorded step.
 */
import { randomUUID } from 'node:crypto'
import type { TaskCommand } from '../bus/command.js'
import { ServiceError } from '../protocol/errors.js'
import type { NewEvent } from '../protocol/events.js'
import type { SessionType } from '../protocol/session.js'
import type { Progress, Turn } from '../runtimes/runtime.js'
import { throughOutage } from '../storage/outage.js'
import type { Trace } from '../telemetry/tracing.js'
import { pastOf } from './past.js'
import { Permission, type PermissionOptions } from './permission.js'
import { codeOf, turnEnd, turnSpan } from './session-trace.js'
import { type CallPlace, StepJournal } from './step-journal.js'
import { TurnBudget } from './turn-budget.js'
import { cancelledBy, endOf, failedBy, failure, recordEnd, type TurnEnd } from './turn-end.js'
import { TurnHooks } from './turn-hooks.js'
import type { TurnHost } from './turn-host.js'
import { WriterLost } from './writer-lost.js'

/** A step that this many owners did not survive is not tried again. */
const MAX_ATTEMPTS = 3
/** A step that was counted so often, and is about to be counted once more, may be what brings its owners down. */
const SUSPECT_ATTEMPTS = MAX_ATTEMPTS - 2

/**
 * Runs the task of a command to its end. The end is on its way to the log when this resolves, not yet in it: what the
 * session does next is written after it. @throws WriterLost when ownership ended first
 */
export async function runTask(host: TurnHost, command: TaskCommand, signal: AbortSignal): Promise<void> {
  const restoreWorkspace = !host.writer.historyIsHere
  const early = host.writer.historyIsHere ? undefined : await loadHistory(host, signal)
  if (early) {
    recordEnd(host, command, early)
    return
  }
  const resumed = host.writer.conversation.open?.task.id === command.task.id
  // Before this attempt is counted: whoever brings the worker down meanwhile is not this turn.
  const cleared = resumed && isSuspect(host) ? await host.services.suspects.begin(signal) : undefined
  const trace = turnSpan(host, command, resumed)
  try {
    // What is recorded from here on hangs under the turn.
    const traced = trace ? { ...command, traceparent: trace.traceparent } : command
    const lost = resumed ? await announceTakeover(host, traced) : announceTask(host, traced)
    const end =
      lost >= MAX_ATTEMPTS
        ? await quarantined(host, traced, lost)
        : await carryOut(host, traced, { signal, restoreWorkspace, trace, onStep: () => cleared?.() })
    const usage = recordEnd(host, traced, end)
    trace?.end(turnEnd(usage, codeOf(end)))
  } finally {
    cleared?.()
    trace?.end({ error: 'interrupted' })
  }
}

const isSuspect = ({ writer }: TurnHost): boolean => (writer.conversation.open?.attempts ?? 0) >= SUSPECT_ATTEMPTS

/** Old events are in Postgres alone, which may be away. Returns how the task ends when they could not be had. */
async function loadHistory({ writer, services, id }: TurnHost, signal: AbortSignal): Promise<TurnEnd | undefined> {
  try {
    await throughOutage(() => writer.loadHistory(signal), { signal })
    return undefined
  } catch (error) {
    if (error instanceof WriterLost) throw error
    return cancelledBy(signal) ?? failedBy(error, services, id)
  }
}

/** Returns how many owners its present step has outlived: none. */
function announceTask(host: TurnHost, command: TaskCommand): number {
  const turn = host.writer.state.turn + 1
  const context = command.type === 'execute' ? command.context : undefined
  const event: NewEvent = {
    type: 'task_executing',
    ...host.writer.base(command),
    taskId: command.task.id,
    task: command.task,
    turn,
    ...(context !== undefined && { context }),
  }
  // Not awaited: it goes out with the first step, and every step is durable before its effect.
  host.writer.record([event]).catch(() => undefined)
  return 0
}

/** Counts the attempt that a crash ended, before the next one begins; an orderly hand-over ends none. Returns the count. */
async function announceTakeover(host: TurnHost, command: TaskCommand): Promise<number> {
  const attempts = host.writer.conversation.open?.attempts ?? 0
  const takeover = host.takeTakeover()
  if (!takeover) return attempts
  // Nothing ran while a person was waited for: that is no attempt.
  const waited = [...(host.writer.conversation.open?.approvals.values() ?? [])].includes('asked')
  const attempt = attempts + (takeover.planned || waited ? 0 : 1)
  const { fromWorker, afterMs } = takeover
  const who = { fromWorker, worker: host.claim.owner, afterMs }
  host.services.onTakeover(afterMs / 1_000)
  await host.writer.record([
    { type: 'session_takeover', ...host.writer.base(command), taskId: command.task.id, ...who, attempt },
  ])
  return attempt
}

async function quarantined(host: TurnHost, command: TaskCommand, attempts: number): Promise<TurnEnd> {
  const reason = `interrupted ${attempts} times at the same step`
  const id = await host.services.quarantine({ sessionId: host.id, tenant: host.tenant, command, attempts, reason })
  return failure(new ServiceError('quarantined', { attempts, id }))
}

interface Course {
  readonly signal: AbortSignal
  readonly restoreWorkspace: boolean
  readonly trace: Trace | undefined
  /** A step has ended well: what comes next is another attempt's first. */
  readonly onStep: () => void
}

async function carryOut(host: TurnHost, command: TaskCommand, course: Course): Promise<TurnEnd> {
  const { services } = host
  const { signal, restoreWorkspace, trace } = course
  const progress = host.writer.conversation.progress(host.writer.takePart())
  const hooks = openHooks(host, command, signal)
  const journal = openJournal(host, command, progress, course, hooks)
  const { session, owner, options = {} } = host.writer.state
  const { type, orchestratorId } = session
  const applicant = { tenant: host.tenant, priority: command.task.priority, type }
  let release = services.slots.tryAcquire(applicant)
  try {
    const askedAt = performance.now()
    release ??= await services.slots.acquire(applicant, signal)
    services.onTurnBegan((performance.now() - askedAt) / 1_000)
    const runtime = services.runtimeOf(type)
    // A load tool has no files: it is spared the directory.
    const workspace = type === 'echo' ? '' : await prepareWorkspace(host, restoreWorkspace, signal)
    const budget = openBudget(host, signal)
    if (callsModelItself(type)) await budget.check()
    const permission = openPermission(host, command, course, { workspace, hooks }, () => {
      release?.()
      release = undefined
      return async () => {
        release ??= await services.slots.acquire(applicant, signal)
      }
    })
    const turn: Turn = {
      sessionId: host.id,
      tenant: host.tenant,
      // As migrations have it: a session from before owners were noted belongs to who has the tenant's name.
      owner: owner ?? host.tenant,
      orchestratorId,
      memoryProfile: options.memoryProfile,
      task: command.task,
      progress,
      journal,
      workspace,
      options,
      epoch: host.claim.epoch,
      signal,
      trace,
      reserve: (call) => budget.reserve(call),
      permit: (...asked) => permission.permit(...asked),
      past: () => pastOf(host.id, host.writer.state.turn, services, signal),
      keyOf: (callId) => keyOf(host, journal.placeOf(callId)),
      beforeEffect: () => {
        signal.throwIfAborted()
        services.beforeEffect()
      },
    }
    const { output } = await runtime.run(turn)
    return { kind: 'completed', output }
  } catch (error) {
    return await endOf(error, host, journal, signal)
  } finally {
    release?.()
  }
}

/** For whoever is asked to do something twice at most once: the same for every owner of the turn. */
const keyOf = ({ id, writer }: TurnHost, { step, position }: Pick<CallPlace, 'step' | 'position'>): string =>
  `${id}:${writer.state.turn}:${step}.${position}`

/** While a person is waited for, the turn has no slot, is suspected of nothing, and may move. */
function openPermission(
  host: TurnHost,
  command: TaskCommand,
  { signal, onStep }: Course,
  place: Pick<PermissionOptions, 'workspace' | 'hooks'>,
  leaveSlot: () => () => Promise<void>,
): Permission {
  const { services, writer, id: sessionId, tenant } = host
  let waiting = 0
  let takeSlot = async (): Promise<void> => undefined
  return new Permission({
    ...{ sessionId, tenant, commandId: command.id, taskId: command.task.id, ...place, signal, services },
    epoch: host.claim.epoch,
    base: () => writer.base(command),
    record: (event) => writer.record([event]),
    onRecord: (approvalId) => writer.conversation.open?.approvals.get(approvalId),
    pause: () => {
      if (waiting++ === 0) takeSlot = leaveSlot()
      onStep()
      host.pausedForApproval()
      return async () => {
        if (--waiting > 0) return
        host.resumedAfterApproval()
        if (!signal.aborted) await takeSlot()
      }
    },
  })
}

const prepareWorkspace = ({ id, services }: TurnHost, restore: boolean, signal: AbortSignal): Promise<string> =>
  throughOutage(() => services.workspaces.prepare(id, restore), { signal })

/** No process is started for a task that could ask it nothing. */
const callsModelItself = (type: SessionType): boolean => type !== 'echo' && type !== 'llm'

function openBudget({ id, tenant, writer, services: { budgets } }: TurnHost, signal: AbortSignal): TurnBudget {
  const { turn, session } = writer.state
  const spender = { tenant, orchestratorId: session.orchestratorId, sessionId: id }
  return new TurnBudget({ budgets, spender, turn, steps: () => writer.conversation.open?.steps ?? 0, signal })
}

function openHooks({ id: sessionId, services }: TurnHost, command: TaskCommand, signal: AbortSignal): TurnHooks {
  const { hooks, beforeEffect } = services
  return new TurnHooks({ hooks, sessionId, taskId: command.task.id, signal, beforeEffect })
}

function openJournal(
  host: TurnHost,
  command: TaskCommand,
  progress: Progress,
  { signal, onStep }: Course,
  hooks: TurnHooks,
): StepJournal {
  const token = randomUUID()
  return new StepJournal({
    base: () => host.writer.base(command),
    record: async (event, clearPart) => {
      await host.writer.record([event], { clearPart })
      if (host.writer.conversation.open?.attempts === 0) onStep()
    },
    stepsOf: (messages) => host.writer.conversation.stepsOf(messages),
    openMessage: (messageId) => host.writer.batch.openMessage(messageId),
    text: (chunk) => host.writer.batch.text(chunk),
    saveWorkspace: () => throughOutage(() => host.services.workspaces.save(host.id), { signal }),
    beginOnce: (place) =>
      host.services.beginOnce({ ...place, sessionId: host.id, commandId: command.id, token }, signal),
    ...{ hooks, progress },
    part: progress.openMessage,
  })
}
