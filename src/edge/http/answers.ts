/**
 * All handlers of the HTTP door, fitted to an edge.
 */
import type { EdgeDependencies } from '../dependencies.js'
import type { SessionDirectory } from '../session-directory.js'
import { APPROVAL_ANSWERS } from './approval-answers.js'
import { bridgeAnswers } from './bridge-answers.js'
import { cleanUp } from './clean-up.js'
import { governanceAnswers } from './governance-answers.js'
import type { Handlers } from './handlers.js'
import { History } from './history.js'
import { historyAnswers } from './history-answers.js'
import { serviceAnswers } from './service-answers.js'
import { SESSION_ANSWERS } from './session-answers.js'
import type { TrafficMeter } from './traffic-meter.js'

export interface HandlerParts {
  readonly deps: Pick<EdgeDependencies, 'settings' | 'bus' | 'events' | 'view' | 'http' | 'audit'>
  readonly directory: SessionDirectory
  readonly traffic: TrafficMeter
  readonly connections: () => number
}

export function handlersOf({ deps, directory, traffic, connections }: HandlerParts): Handlers {
  const { settings, bus, events, view, http: sources } = deps
  return {
    ...SESSION_ANSWERS,
    ...APPROVAL_ANSWERS,
    cleanUpSessions: cleanUp(sources, deps.audit),
    ...historyAnswers({ directory, history: new History({ log: bus.log, rows: events }), sources }),
    ...governanceAnswers({ directory, sources, now: Date.now }),
    ...serviceAnswers({ settings, view, sources, startedAt: Date.now() }),
    ...bridgeAnswers({ neolith: sources.neolith, traffic, connections }),
  }
}
