/**
 * Every endpoint of the HTTP door, by its name.
 */
import { APPROVAL_ENDPOINTS } from './approvals.js'
import { BRIDGE_ENDPOINTS } from './bridge.js'
import type { Endpoint } from './endpoint.js'
import { GOVERNANCE_ENDPOINTS } from './governance.js'
import { SERVICE_ENDPOINTS } from './service.js'
import { SESSION_ENDPOINTS } from './sessions.js'

export const ENDPOINTS = {
  ...SESSION_ENDPOINTS,
  ...APPROVAL_ENDPOINTS,
  ...GOVERNANCE_ENDPOINTS,
  ...SERVICE_ENDPOINTS,
  ...BRIDGE_ENDPOINTS,
} as const satisfies Record<string, Endpoint>

export type Endpoints = typeof ENDPOINTS
export type EndpointName = keyof Endpoints
export const ENDPOINT_NAMES = Object.keys(ENDPOINTS) as EndpointName[]
