/**
 * What the places that tell of a command cost it, with tracing off, on but not recorded, and on: received, submitted,
 * accepted, and one commit with its fan-out; in CPU time, which a busy machine does not lengthen. A large enough nursery
 * shows what was allocated:
 *
 *   node --expose-gc --max-semi-space-size=512 --import tsx loadtest/tracing-cost.ts
 */
import type { SubmissionRequest } from '../src/bus/command.js'
import { loadConfig } from '../src/config/load.js'
import { fanOutSpan, receivedSpan, submittedSpan } from '../src/edge/command-trace.js'
import type { ClientMessage } from '../src/protocol/commands.js'
import { silentLog } from '../src/telemetry/log.js'
import { openTracing } from '../src/telemetry/open-tracing.js'
import type { Tracing } from '../src/telemetry/tracing.js'
import type { WrittenEvents } from '../src/worker/change-builder.js'
import { commitSpan, tellAccepted } from '../src/worker/session-trace.js'

const WARM_UP = 5_000
const ROUNDS = 20_000
/** So little happens that a clock hardly sees it. */
const ROUNDS_OFF = 20_000_000
const NS_PER_US = 1_000
const SESSION = 'session_0a3_01ARZ3NDEKTSV4RRFFQ69G5FAV'
/** A port of this machine that nothing listens on: spans are made and dropped. */
const NOWHERE = 'http://127.0.0.1:9'

const message = { type: 'execute_task', payload: { sessionId: SESSION, task: 'x' } } as ClientMessage
const event = { type: 'task_completed', sessionId: SESSION, timestamp: '2026-11-27T00:00:00.000Z' }
const submission: SubmissionRequest = {
  ...{ sessionId: SESSION, commandId: 'c', type: 'execute', tenant: 'acme', fresh: false, body: '' },
}

/** One command past all places, each with the one look at whether anything is traced that stands there. */
function command(tracing: Tracing | undefined): void {
  const received = tracing && receivedSpan(tracing, 'acme', message)
  const submitted = tracing && received && submittedSpan(tracing, submission, received.traceparent)
  received?.end()
  if (tracing && received) accept(tracing, received.traceparent)
  submitted?.end()
  const commit = tracing && received && commitSpan(tracing, SESSION, written(received.traceparent))
  commit?.end()
  const shown = tracing && received && fanOutSpan(tracing, entry(received.traceparent), 1)
  shown?.end()
}

const accept = (tracing: Tracing, traceparent: string): void =>
  tellAccepted(tracing, { ...submission, outbox: 'e@1-1' }, { id: 'c', type: 'stop', traceparent }, performance.now())
const written = (traceparent: string) => ({ events: [{ ...event, traceparent }] }) as unknown as WrittenEvents
const entry = (traceparent: string) => {
  const body = JSON.stringify({ type: event.type, eventId: '1-1', traceparent, sessionId: SESSION })
  return { kind: 'events', sessionId: SESSION, events: [{ eventId: '1-1', body }] } as const
}

function measure(name: string, tracing: Tracing | undefined, rounds: number): void {
  for (let round = 0; round < WARM_UP; round++) command(tracing)
  globalThis.gc?.()
  const [heap, before] = [process.memoryUsage().heapUsed, process.cpuUsage()]
  for (let round = 0; round < rounds; round++) command(tracing)
  const { user, system } = process.cpuUsage(before)
  const bytes = (process.memoryUsage().heapUsed - heap) / rounds
  const ns = ((user + system) * NS_PER_US) / rounds
  process.stdout.write(`${name.padEnd(18)}${ns.toFixed(1).padStart(10)} ns${bytes.toFixed(1).padStart(10)} bytes\n`)
}

async function open(env: Record<string, string>): Promise<Tracing | undefined> {
  const config = loadConfig({ flags: {}, env: { OTEL_EXPORTER_OTLP_ENDPOINT: NOWHERE, ...env }, cwd: '/' })
  return await openTracing(config, { node: 'n', role: 'all', version: '0' }, silentLog)
}

measure('off', undefined, ROUNDS_OFF)
measure('on, not recorded', await open({ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }), ROUNDS)
measure('on, recorded', await open({}), ROUNDS)
process.exit(0)
