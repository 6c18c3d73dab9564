/**
 * What both Socket.IO servers share: an adapter over Redis Streams, set up to be as quick as it can be.
 */
import { createAdapter } from '@socket.io/redis-streams-adapter'
import { Redis } from 'ioredis'

/** The room that stands for the worker. */
export const WORKER_ROOM = 'worker'
export const EXECUTE = 'execute_task'
export const COMPLETED = 'task_completed'

/** What a client sends and gets back; `from` is the client's room. */
export interface Task {
  readonly from: string
  readonly requestId: string
  readonly payload: unknown
}

/** Reads and keeps as much at a time as the service does; its defaults are a tenth of that and lose messages under load. */
const OPTIONS = { readCount: 500, maxLen: 100_000, onlyPlaintext: true }

export const streamsAdapter = (url: string): ReturnType<typeof createAdapter> =>
  createAdapter(new Redis(url, { enableAutoPipelining: true }), OPTIONS)
