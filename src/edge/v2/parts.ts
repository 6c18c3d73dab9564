/**
 * What stands behind every connection of the second protocol, fitted by the edge.
 */
import type { Dispatcher } from '../caller.js'
import type { EdgeAudit, EdgeLog } from '../dependencies.js'
import type { TrafficMeter } from '../http/traffic-meter.js'
import type { Introductions } from '../introduction.js'
import type { EventRows, SessionRows } from '../rows.js'
import type { SessionDirectory } from '../session-directory.js'
import type { V2Sources } from './sources.js'
import type { TenantActivity } from './tenant-activity.js'

export interface V2Parts extends Introductions {
  readonly dispatcher: Dispatcher
  readonly directory: SessionDirectory
  readonly events: Pick<EventRows, 'last'>
  readonly rows: Pick<SessionRows, 'find' | 'countByTenant'>
  readonly settings: {
    readonly version: string
    readonly maxPayloadBytes: number
    readonly heartbeatIntervalMs: number
  }
  /** Whether what clients send is limited at all. */
  readonly isLimited: () => boolean
  readonly connections: () => number
  readonly traffic: Pick<TrafficMeter, 'read'>
  readonly sources: V2Sources
  readonly activity: TenantActivity
  readonly audit: EdgeAudit | undefined
  readonly trace: EdgeLog
}
