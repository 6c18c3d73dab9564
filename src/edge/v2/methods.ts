/**
 * All handlers of the second protocol. A method without one does not compile.
 */
import { ServiceError } from '../../protocol/errors.js'
import type { MethodName } from '../../protocol/v2/methods.js'
import { AGENT_METHODS } from './agent-methods.js'
import type { Handlers } from './asked.js'
import { CONNECTION_METHODS } from './connection-methods.js'
import { MEMORY_METHODS } from './memory-methods.js'
import { SERVICE_METHODS } from './service-methods.js'
import { SESSION_METHODS } from './session-methods.js'
import { TEAM_METHODS } from './team-methods.js'

export const HANDLERS: Handlers<MethodName> = {
  'auth.connect': () => {
    throw new ServiceError('invalid_payload', { reason: 'this connection is connected already' })
  },
  ...CONNECTION_METHODS,
  ...SESSION_METHODS,
  ...AGENT_METHODS,
  ...TEAM_METHODS,
  ...MEMORY_METHODS,
  ...SERVICE_METHODS,
}
