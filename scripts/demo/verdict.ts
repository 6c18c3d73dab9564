/**
 * The end of the cluster demo: what happened in figures, and whether all of it was right.
 */
import { nodeName } from '../../src/protocol/ids.js'
import type { CountingSession } from './counting-session.js'
import type { Outcome } from './outcome.js'
import { dollars, number, type Screen, seconds } from './screen.js'
import { numberedWords } from './scripted-model.js'
import { type Kill, takeoverFaults } from './worker-kill.js'

export interface Finished {
  readonly sessions: readonly CountingSession[]
  readonly kill: Kill | undefined
  readonly killWanted: boolean
  readonly isScripted: boolean
  readonly durationMs: number
}

export function failuresOf({ sessions, kill, killWanted, isScripted }: Finished): string[] {
  const faults = sessions.flatMap((session) =>
    [...session.record.faults, ...taskFaults(session), ...(isScripted ? textFaults(session) : [])].map(
      (fault) => `session ${session.label}: ${fault}`,
    ),
  )
  if (kill) faults.push(...takeoverFaults(kill))
  else if (killWanted) faults.push('no session was streaming when a worker was to be killed')
  return faults
}

function taskFaults({ record }: CountingSession): string[] {
  if (record.taskEnd?.type === 'task_completed') return []
  return [record.taskEnd ? `its task ended as ${record.taskEnd.type}` : 'its task has not ended']
}

/** Only of the scripted model: what a vendor's model writes is the model's own affair. */
function textFaults({ isCountedRight, record, count }: CountingSession): string[] {
  if (!isCountedRight) return ['a number is missing, repeated or out of order']
  return record.text === numberedWords(count) ? [] : ['the words are not those that the model writes']
}

export function figuresOf({ sessions, kill, isScripted, durationMs }: Finished): Outcome['figures'] {
  const takeovers = sessions.flatMap(({ id, record }) =>
    record.takeovers.map(({ fromWorker, worker, afterMs, attempt }) => ({ id, fromWorker, worker, afterMs, attempt })),
  )
  const usages = sessions.flatMap(({ record }) => (record.taskEnd ? [record.taskEnd.usage] : []))
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
  return {
    form: 'cluster',
    model: isScripted ? 'scripted' : 'vendor',
    sessions: sessions.length,
    completed: sessions.filter(({ record }) => record.taskEnd?.type === 'task_completed').length,
    countedRight: sessions.filter((session) => session.isCountedRight).length,
    killed: kill && { node: kill.node, pid: kill.pid, sessions: kill.interrupted.map(({ id }) => id) },
    takeovers,
    takeoverMs: spread(takeovers.map(({ afterMs }) => afterMs)),
    longestSilenceMs: Math.round(Math.max(0, ...sessions.map(({ record }) => record.longestSilenceMs))),
    events: sum(sessions.map(({ record }) => record.events)),
    textBytes: sum(sessions.map(({ record }) => Buffer.byteLength(record.text))),
    tokens: sum(usages.map(({ promptTokens, completionTokens }) => promptTokens + completionTokens)),
    cost: sum(usages.map(({ cost }) => cost)),
    durationMs: Math.round(durationMs),
  }
}

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

export function spread(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const [min, median, max] = [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)]
  return min === undefined || median === undefined || max === undefined ? undefined : { min, median, max }
}

export function showVerdict(screen: Screen, finished: Finished, edges: string): void {
  const { sessions, isScripted, durationMs } = finished
  const figures = figuresOf(finished) as ReturnType<typeof figuresOf> & { readonly takeoverMs: Spread | undefined }
  const { takeoverMs: ms } = figures
  const right = `${figures.countedRight} with every number once and in order`
  const row = (name: string, text: string): void => screen.line(`  ${screen.colour.dim(name.padEnd(18))}${text}`)
  screen.heading('The verdict')
  row('sessions', `${sessions.length} in ${seconds(durationMs)}, ${figures.completed} completed, ${right}`)
  row('clients', edges)
  row('taken over', takersOf(sessions))
  if (ms) row('takeover', `${number(ms.min)} min, ${number(ms.median)} median, ${number(ms.max)} max, in ms`)
  row('longest silence', `${number(Number(figures.longestSilenceMs))} ms, as a client saw it`)
  row('log in Postgres', `${number(Number(figures.events))} events, ${number(Number(figures.textBytes))} bytes of text`)
  row('tokens', `${number(Number(figures.tokens))}, ${dollars(Number(figures.cost))}${isScripted ? ' (scripted)' : ''}`)
}

function takersOf(sessions: readonly CountingSession[]): string {
  const counts = new Map<string, number>()
  for (const { worker } of sessions.flatMap(({ record }) => record.takeovers)) {
    counts.set(nodeName(worker), (counts.get(nodeName(worker)) ?? 0) + 1)
  }
  const takers = [...counts].toSorted().map(([name, count]) => `${count} by ${name}`)
  return takers.length === 0 ? 'none' : takers.join(', ')
}
