/**
 * Endpoints about sessions, their tasks, and what is left of them.
 */
import { z } from 'zod'
import {
  cancelPayloadSchema,
  executePayloadSchema,
  listTasksPayloadSchema,
  MAX_PAGE,
  sessionFilterSchema,
  spawnPayloadSchema,
} from '../commands.js'
import { eventIdSchema } from '../ids.js'
import { SESSION_STATUSES } from '../session.js'
import { type Endpoint, eventPage, id, listOf, NOTHING, ofSession, page } from './endpoint.js'
import {
  artifactShape,
  commandShape,
  eventShape,
  pageOf,
  queuedTaskShape,
  scheduledTaskShape,
  sessionShape,
  taskAcceptedShape,
  transcriptEntryShape,
  turnShape,
} from './shapes.js'

/** A list of sessions, or of ids, that a clean-up names at once. */
const MAX_CLEANED = 500
const MAX_IDLE_MS = 366 * 86_400_000
const MAX_PATH_CHARS = 1_024

const { sessionType, orchestratorId, search } = sessionFilterSchema.shape
const queueQuery = z.object({ ...page, state: listTasksPayloadSchema.shape.state })

/** `7-42`, or `7-42/<messageId>/<bytes of it>` in the middle of a message. */
const streamPosition = z
  .string()
  .max(256)
  .regex(/^\d{1,15}-\d{1,15}(\/[\w-]{1,128}\/\d{1,15})?$/, 'a position looks like 7-42, or 7-42/<message>/<bytes>')

/** Of a task that is to wait. */
const SCHEDULE_ERRORS = [
  'schedule_invalid',
  'schedule_limit',
  'dependency_unknown',
  'dependency_cycle',
  'dependency_failed',
  'task_exists',
  'idempotency_conflict',
] as const

const verb = (path: string, summary: string) =>
  ({
    method: 'POST',
    path: `/api/sessions/{sessionId}/${path}`,
    tag: 'Sessions',
    summary,
    params: ofSession,
    query: NOTHING,
    takesKey: true,
    answers: { 202: commandShape },
    errors: ['session_not_found', 'session_not_running', 'busy', 'outcome_unknown'],
  }) as const

const read = (path: string, summary: string) =>
  ({
    method: 'GET',
    path: `/api/sessions/{sessionId}/${path}`,
    tag: 'Sessions',
    summary,
    action: 'read_session',
    params: ofSession,
    errors: ['session_not_found'],
  }) as const

export const SESSION_ENDPOINTS = {
  listSessions: {
    method: 'GET',
    path: '/api/sessions',
    tag: 'Sessions',
    summary: 'Sessions, newest first. With a filter a page may hold fewer than asked for, and still not be the last.',
    action: 'list_sessions',
    params: NOTHING,
    query: z.object({ ...page, status: listOf(SESSION_STATUSES), type: sessionType, orchestratorId, q: search }),
    answers: { 200: pageOf('sessions', sessionShape) },
  },
  spawnSession: {
    method: 'POST',
    path: '/api/sessions',
    aliases: ['/sessions'],
    tag: 'Sessions',
    summary: 'Spawns a session for a task. One whose task is to wait is spawned when its time has come (202).',
    action: 'spawn_session',
    alsoNeeds: ['session_status'],
    params: NOTHING,
    query: NOTHING,
    body: spawnPayloadSchema,
    takesKey: true,
    answers: { 201: sessionShape, 202: scheduledTaskShape },
    errors: ['max_sessions', 'idempotency_conflict', 'busy', 'outcome_unknown', ...SCHEDULE_ERRORS],
  },
  cleanUpSessions: {
    method: 'POST',
    path: '/api/sessions/cleanup',
    tag: 'Sessions',
    summary: 'Ends sessions in which nothing has happened for a while. One that gets work meanwhile does it first.',
    action: 'clean_up',
    params: NOTHING,
    query: NOTHING,
    body: z.object({
      idleMs: z.number().int().min(0).max(MAX_IDLE_MS).optional().meta({ description: 'Default 15 minutes.' }),
      limit: z.number().int().min(1).max(MAX_CLEANED).optional(),
      dryRun: z.boolean().optional().meta({ description: 'Only say which these would be.' }),
    }),
    answers: { 200: z.object({ stopped: z.array(id), more: z.boolean() }) },
  },
  sessionStatus: {
    method: 'GET',
    path: '/api/sessions/{sessionId}',
    aliases: ['/sessions/{sessionId}'],
    tag: 'Sessions',
    summary: 'One session as it stands.',
    action: 'session_status',
    params: ofSession,
    query: NOTHING,
    answers: { 200: sessionShape },
    errors: ['session_not_found'],
  },
  removeSession: {
    ...verb('', 'Stops a session, and what it is at.'),
    method: 'DELETE',
    path: '/api/sessions/{sessionId}',
    aliases: ['/sessions/{sessionId}'],
    action: 'stop_session',
  },
  stopSession: { ...verb('stop', 'Stops a session, and what it is at.'), action: 'stop_session' },
  completeSession: {
    ...verb('complete', 'Ends a session when it has done what waits in it.'),
    action: 'complete_session',
  },
  pauseSession: { ...verb('pause', 'Lets a session begin no further task.'), action: 'pause_session' },
  resumeSession: { ...verb('resume', 'Lets a paused session go on.'), action: 'resume_session' },
  cancelTask: {
    ...verb('cancel', 'Cancels a task; without a name the one that runs.'),
    action: 'cancel_task',
    body: cancelPayloadSchema.omit({ sessionId: true }),
  },
  executeTask: {
    ...verb('tasks', 'Gives a session a task. One that is to wait is given to it when its time has come.'),
    aliases: ['/sessions/{sessionId}/tasks'],
    tag: 'Tasks',
    action: 'execute_task',
    body: executePayloadSchema.omit({ sessionId: true }),
    errors: ['session_not_found', 'session_not_running', 'busy', 'outcome_unknown', ...SCHEDULE_ERRORS],
    answers: { 202: z.union([taskAcceptedShape, scheduledTaskShape]) },
  },
  listSessionTasks: {
    ...read('tasks', 'What waits in a session, and tasks that are scheduled for it.'),
    tag: 'Tasks',
    action: 'list_tasks',
    query: queueQuery,
    answers: { 200: pageOf('tasks', queuedTaskShape) },
  },
  listTurns: {
    ...read('turns', 'Tasks that a session has worked on, newest first.'),
    tag: 'Tasks',
    query: z.object(page),
    answers: { 200: pageOf('turns', turnShape) },
  },
  listEvents: {
    ...read('events', 'What happened in a session, oldest first.'),
    query: eventPage,
    answers: {
      200: z.object({
        events: z.array(eventShape),
        next: eventIdSchema.meta({ description: '`after` of the next page.' }),
        head: eventIdSchema.meta({ description: 'The last event of the session.' }),
        more: z.boolean(),
      }),
    },
  },
  streamEvents: {
    ...read('stream', 'Server-sent events: what happens in a session, from `Last-Event-ID` or `after` on.'),
    action: 'subscribe',
    query: z.object({
      after: streamPosition
        .optional()
        .meta({ description: 'Where to go on; `0-0` is the whole story, and without it the present.' }),
    }),
    answers: { 200: 'text/event-stream' },
  },
  readTranscript: {
    ...read('transcript', 'What was said and done in a session, to be read by people, oldest first.'),
    query: eventPage,
    answers: { 200: z.object({ entries: z.array(transcriptEntryShape), next: eventIdSchema, more: z.boolean() }) },
  },
  listArtifacts: {
    ...read('artifacts', 'Files that a session has written, in the order of their paths.'),
    query: z.object({ limit: page.limit, cursor: z.string().max(MAX_PATH_CHARS).optional() }),
    answers: { 200: pageOf('artifacts', artifactShape) },
  },
  readArtifact: {
    ...read('artifacts/{path*}', 'The content of a file, byte by byte.'),
    params: ofSession.extend({ path: z.string().min(1).max(MAX_PATH_CHARS) }),
    query: NOTHING,
    answers: { 200: 'application/octet-stream', 304: '' },
    errors: ['session_not_found', 'artifact_not_found'],
  },
  listTasks: {
    method: 'GET',
    path: '/api/tasks',
    tag: 'Tasks',
    summary: 'Tasks that wait: in the newest sessions, and scheduled ones.',
    action: 'list_tasks',
    params: NOTHING,
    query: queueQuery,
    answers: { 200: pageOf('tasks', queuedTaskShape) },
  },
  cancelScheduled: {
    method: 'DELETE',
    path: '/api/tasks/{scheduleId}',
    tag: 'Tasks',
    summary: 'Cancels a task that is scheduled.',
    action: 'cancel_scheduled',
    params: z.object({ scheduleId: id }),
    query: NOTHING,
    answers: { 200: scheduledTaskShape },
    errors: ['schedule_not_found'],
  },
} as const satisfies Record<string, Endpoint>

export const DEFAULT_EVENTS = MAX_PAGE
