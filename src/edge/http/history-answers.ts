/**
 * What is left of a session: its events, what was said, its turns, its files.
 */
import { ServiceError } from '../../protocol/errors.js'
import type { LoggedEvent } from '../../protocol/events.js'
import { LOG_START } from '../../protocol/ids.js'
import type { SessionDirectory } from '../session-directory.js'
import { type Answer, JSON_TYPE, ok } from './answer.js'
import type { Handlers } from './handlers.js'
import type { History } from './history.js'
import type { HttpSources } from './sources.js'
import { entryOf } from './transcript.js'

const DEFAULT_EVENTS = 200
const DEFAULT_PAGE = 100

export interface HistoryParts {
  readonly directory: SessionDirectory
  readonly history: History
  readonly sources: Pick<HttpSources, 'turns' | 'artifacts'>
}

export function historyAnswers({
  directory,
  history,
  sources,
}: HistoryParts): Handlers<'listEvents' | 'readTranscript' | 'listTurns' | 'listArtifacts' | 'readArtifact'> {
  return {
    listEvents: async ({ principal, params: { sessionId }, query: { after = LOG_START, limit = DEFAULT_EVENTS } }) => {
      await directory.checkAccess(sessionId, principal)
      const { events, next, head } = await history.page(sessionId, after, limit)
      // Put together as text: what the log holds is JSON already.
      const about = JSON.stringify({ next, head, more: events.length > 0 && next !== head })
      const body = `{"events":[${events.map((event) => event.body).join(',')}],${about.slice(1)}`
      return { status: 200, type: JSON_TYPE, body }
    },
    readTranscript: async ({ principal, params: { sessionId }, query }) => {
      const { after = LOG_START, limit = DEFAULT_EVENTS } = query
      await directory.checkAccess(sessionId, principal)
      const { events, next, head } = await history.page(sessionId, after, limit)
      const entries = events.flatMap(({ body }) => entryOf(JSON.parse(body) as LoggedEvent) ?? [])
      return ok({ entries, next, more: events.length > 0 && next !== head })
    },
    listTurns: async ({ principal, params: { sessionId }, query: { limit = DEFAULT_PAGE, cursor } }) => {
      await directory.checkAccess(sessionId, principal)
      return ok(await sources.turns(sessionId, limit, cursor))
    },
    listArtifacts: async ({ principal, params: { sessionId }, query: { limit = DEFAULT_PAGE, cursor } }) => {
      await directory.checkAccess(sessionId, principal)
      return ok(await sources.artifacts.page(sessionId, limit, cursor))
    },
    readArtifact: async ({ principal, params: { sessionId, path }, knownTag }) => {
      await directory.checkAccess(sessionId, principal)
      return await artifact(sources, sessionId, path, knownTag)
    },
  }
}

async function artifact(
  { artifacts }: HistoryParts['sources'],
  sessionId: string,
  path: string,
  knownTag: string,
): Promise<Answer> {
  const found = await artifacts.find(sessionId, path)
  if (!found) throw new ServiceError('artifact_not_found', { path })
  const tag = `"${found.hash}"`
  if (knownTag.split(',').some((each) => each.trim() === tag))
    return { status: 304, headers: [['etag', tag]], body: '' }
  const body = await artifacts.content(found.hash)
  // Between the two looks the file was changed, and nobody had the former content any more.
  if (!body) throw new ServiceError('artifact_not_found', { path })
  return {
    ...{ status: 200, type: 'application/octet-stream', body },
    // Written by an agent: never to be shown as a page of this origin.
    headers: [
      ['etag', tag],
      ['content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(path.split('/').at(-1) ?? path)}`],
      ['content-security-policy', "default-src 'none'; sandbox"],
    ],
  }
}
