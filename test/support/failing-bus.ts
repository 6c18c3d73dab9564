/**
 * A bus whose answers get lost: failpoints around what a worker asks of the store.
 */
import type { Bus } from '../../src/bus/bus.js'
import type { SeededRandom } from './random.js'

/**
 * `fail` nothing happens, and the caller hears of a failure · `late` it happens, and the caller hears of a failure all the
 * same, as after a timeout · `twice` it happens twice, as after a retry by somebody in between.
 */
export type Failpoint = 'fail' | 'late' | 'twice'

const FAILPOINTS: readonly Failpoint[] = ['fail', 'late', 'twice']
/** Repeating them changes nothing, says the interface: for the others a second time is another call. */
const REPEATABLE: ReadonlySet<string> = new Set(['claim', 'commit', 'flush', 'trim', 'hydrate'])
const READS: ReadonlySet<string> = new Set(['peek', 'load', 'events'])

export interface FailingBus {
  readonly bus: Bus
  /** What was done, by name of the call. */
  readonly done: Map<string, Set<Failpoint>>
  /** From now on everything works. */
  heal(): void
}

/** One call in `oneIn` of those that write, or read a session, meets a failpoint. */
export function failingBus(bus: Bus, random: SeededRandom, oneIn: number): FailingBus {
  const done = new Map<string, Set<Failpoint>>()
  let healed = false
  const draw = (name: string): Failpoint | undefined => {
    if (healed || random.integer(1, oneIn) > 1) return undefined
    const point = READS.has(name) ? 'fail' : random.pick(FAILPOINTS)
    return point === 'twice' && !REPEATABLE.has(name) ? undefined : point
  }
  const wrap = <T extends object>(part: T, names: readonly string[]): T =>
    new Proxy(part, {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown
        if (typeof value !== 'function') return value
        const call = value.bind(target) as (...args: unknown[]) => Promise<unknown>
        if (!names.includes(String(name))) return call
        return async (...args: unknown[]) => {
          const point = draw(String(name))
          if (point === undefined) return call(...args)
          done.set(String(name), (done.get(String(name)) ?? new Set()).add(point))
          if (point !== 'fail') await call(...args)
          if (point === 'twice') return call(...args)
          throw new Error(`failpoint: ${String(name)} ${point}`)
        }
      },
    })
  return {
    bus: {
      ...{ commands: wrap(bus.commands, ['accept', 'hydrate']), outboxes: bus.outboxes, timers: bus.timers },
      log: wrap(bus.log, ['claim', 'commit', 'flush', 'load', 'events', 'trim']),
      ...(bus.handover && { handover: bus.handover }),
      ping: () => bus.ping(),
      stop: () => bus.stop(),
    },
    done,
    heal: () => {
      healed = true
    },
  }
}
