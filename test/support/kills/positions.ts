/**
 * The positions of a turn at which its worker can be killed: where the turn is held until then.
 */
import type { Bus, SessionLog } from '../../../src/bus/bus.js'
import type { LoggedEventType } from '../../../src/protocol/events.js'

/** Around the write of an event, in the order of a turn with one tool call. */
const WRITES = {
  'before the model call': ['stream_start', 'before'],
  'before the call is asked for': ['stream_end', 'before'],
  'before the intent': ['tool_call_start', 'before'],
  'after the intent': ['tool_call_start', 'after'],
  'before the result': ['tool_call_result', 'before'],
  'after the result': ['tool_call_result', 'after'],
  'before the end': ['task_completed', 'before'],
} as const satisfies Record<string, readonly [LoggedEventType, 'before' | 'after']>

/** Where others hold it: the vendor in its stream, the world in its effect. */
const ELSEWHERE = ['in the model call', 'in the effect', 'in the answer'] as const

export type Position = keyof typeof WRITES | (typeof ELSEWHERE)[number]

export const POSITIONS: readonly Position[] = [
  'before the model call',
  'in the model call',
  'before the call is asked for',
  'before the intent',
  'after the intent',
  'in the effect',
  'before the result',
  'after the result',
  'in the answer',
  'before the end',
]

/** A bus on which turns come no further than `position`; `reached` is told of each session that is there. */
export function holdingBus(bus: Bus, position: Position, reached: (sessionId: string) => void): Bus {
  const write = position in WRITES ? WRITES[position as keyof typeof WRITES] : undefined
  if (!write) return bus
  const [type, when] = write
  const commit: SessionLog['commit'] = async (claim, change) => {
    if (!change.events.some((event) => (JSON.parse(event) as { type: string }).type === type)) {
      return await bus.log.commit(claim, change)
    }
    if (when === 'after') await bus.log.commit(claim, change)
    reached(change.sessionId)
    return await new Promise(() => undefined)
  }
  const log = new Proxy(bus.log, {
    get: (target, name) => {
      if (name === 'commit') return commit
      const value = Reflect.get(target, name, target) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return {
    ...{ commands: bus.commands, outboxes: bus.outboxes, timers: bus.timers, log },
    ...(bus.handover && { handover: bus.handover }),
    ping: () => bus.ping(),
    stop: () => bus.stop(),
  }
}
