/**
 * One request for every verb and every endpoint, well-formed, about things that are given. A verb or an endpoint that needs
 * more to be well-formed gets a row here.
 */
import { io, type Socket } from 'socket.io-client'
import { onTestFinished, vi } from 'vitest'
import WebSocket from 'ws'
import { type ClientMessageType, clientMessageSchema } from '../../../src/protocol/commands.js'
import { newApprovalId, newScheduleId, newSessionId } from '../../../src/protocol/ids.js'
import type { Endpoint } from '../../../src/protocol/rest/endpoint.js'
import { ENDPOINTS, type EndpointName } from '../../../src/protocol/rest/endpoints.js'
import { type Frame, RawClient } from '../wire/edge-fixture.js'
import type { Requester } from './http-fixture.js'

const PATIENCE = { timeout: 15_000, interval: 10 } as const
export const VERBS = clientMessageSchema.options.map((option) => option.shape.type.value)

/** What requests are about. */
export interface Things {
  readonly sessionId: string
  readonly scheduleId: string
  readonly approvalId: string
  /** An orchestrator, a file and a word to look for. */
  readonly word: string
}

/** Things that nobody has. */
export const missingThings = (word: string): Things => ({
  ...{ sessionId: newSessionId(0), scheduleId: newScheduleId(), approvalId: newApprovalId(), word },
})

type Payload = ((things: Things) => Frame) | undefined
const ofSession = ({ sessionId }: Things): Frame => ({ sessionId })

/** A verb without a row does not compile. */
export const PAYLOADS: Readonly<Record<ClientMessageType, Payload>> = {
  spawn_session: () => ({ task: '{"count":1}', sessionType: 'echo' }),
  execute_task: ({ sessionId }) => ({ sessionId, task: '{"count":1}' }),
  session_status: ofSession,
  stop_session: ofSession,
  complete_session: ofSession,
  pause_session: ofSession,
  resume_session: ofSession,
  cancel_task: ofSession,
  approval_decision: ({ sessionId, approvalId }) => ({ sessionId, approvalId, decision: 'approve' }),
  list_approvals: ({ sessionId, approvalId }) => ({ sessionId, approvalId, state: 'all' }),
  cancel_scheduled: ({ scheduleId }) => ({ scheduleId }),
  list_tasks: ({ sessionId }) => ({ sessionId, state: 'all' }),
  subscribe: ({ sessionId }) => ({ sessionId, from: { eventId: '0-0' } }),
  unsubscribe: ofSession,
  list_sessions: ({ word }) => ({ search: word }),
  daemon_status: undefined,
  route_task: () => ({ task: 'where to' }),
  token_refresh: undefined,
  health_check: undefined,
  ping: undefined,
}

/** Asks by message, over whichever door. */
export interface Asker {
  /** The answer, without what only names the question. */
  ask(type: ClientMessageType, things: Things): Promise<Frame>
  /** Everything that has come so far. */
  heard(): string
}

let asked = 0

export async function rawAsker({ url, headers }: Requester): Promise<Asker> {
  const socket = new WebSocket(url.replace('http', 'ws'), { headers })
  onTestFinished(() => socket.terminate())
  const raw = new RawClient(socket)
  await raw.type('health_check_response')
  return {
    ask: async (type, things) => {
      const payload = PAYLOADS[type]?.(things)
      const { requestId: _, ...answer } = await raw.ask({ type, ...(payload && { payload }), commandId: `a${++asked}` })
      return answer
    },
    heard: () => JSON.stringify(raw.frames),
  }
}

export async function socketIoAsker({ url, headers }: Requester): Promise<Asker> {
  const socket: Socket = io(url, {
    ...{ forceNew: true, reconnection: false, transports: ['websocket'], extraHeaders: { ...headers } },
  })
  onTestFinished(() => void socket.close())
  const heard: unknown[] = []
  socket.onAny((...event: unknown[]) => heard.push(event))
  await vi.waitUntil(() => socket.connected, PATIENCE)
  return {
    ask: async (type, things) =>
      (await socket
        .timeout(PATIENCE.timeout)
        .emitWithAck(type, PAYLOADS[type]?.(things), { commandId: `a${++asked}` })) as Frame,
    heard: () => JSON.stringify(heard),
  }
}

/** Ones without which an endpoint refuses before it looks. */
const QUERIES: Partial<Record<EndpointName, (things: Things) => string>> = { searchMemory: ({ word }) => `q=${word}` }
const BODIES: Partial<Record<EndpointName, object>> = {
  spawnSession: { task: '{"count":1}', sessionType: 'echo' },
  executeTask: { task: '{"count":1}' },
  decideApproval: { decision: 'approve' },
}

function addressOf(name: EndpointName, things: Things): string {
  const { sessionId, scheduleId, approvalId, word } = things
  const values: Readonly<Record<string, string>> = {
    ...{ sessionId, scheduleId, approvalId, agentId: sessionId, channelId: 'c', path: word },
  }
  const path = ENDPOINTS[name].path.replace(/\{(\w+)\*?\}/g, (_whole, parameter: string) => values[parameter] ?? 'x')
  const query = new URLSearchParams(QUERIES[name]?.(things) ?? '')
  const { query: asks }: Endpoint = ENDPOINTS[name]
  if ('sessionId' in asks.shape) query.set('sessionId', sessionId)
  if ('orchestratorId' in asks.shape) query.set('orchestratorId', word)
  return `${path}?${query}`
}

export interface Answered {
  readonly status: number
  /** The beginning of a stream, or all of any other body. */
  readonly text: string
}

export async function request(asker: Requester, name: EndpointName, things: Things): Promise<Answered> {
  const { method } = ENDPOINTS[name]
  const body = BODIES[name] ?? (method === 'GET' ? undefined : {})
  const leave = new AbortController()
  const response = await fetch(`${asker.url}${addressOf(name, things)}`, {
    ...{ method, headers: asker.headers, redirect: 'manual', signal: leave.signal },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  // A stream that was granted has no end.
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream')
  const text = isStream ? 'event-stream' : await response.text()
  leave.abort()
  return { status: response.status, text }
}
