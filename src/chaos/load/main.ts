/**
 * The load's process. It is started with a channel to its parent and does what it is ordered there.
 */
import { findWebSocket } from '../../client/web-socket.js'
import { LoadRun } from './load-run.js'
import type { Order, Reply } from './plan.js'

let run: LoadRun | undefined

const reply = (order: number, message: Reply): void => {
  process.send?.({ order, ...message })
}

async function obey(order: Order): Promise<Reply> {
  if (order.type === 'start') {
    run = new LoadRun(order.plan, await findWebSocket())
    await run.start()
    return { type: 'ready' }
  }
  if (!run) throw new Error('the load has not been started')
  switch (order.type) {
    case 'fault':
      return { type: 'in-flight', found: run.faultBegan(order.hit) }
    case 'healed':
      run.faultHealed()
      return { type: 'done' }
    case 'edges':
      run.setEdges(order.edges)
      return { type: 'done' }
    case 'command':
      await run.special(order.what)
      return { type: 'done' }
    case 'crowd':
      await run.crowd(order.step)
      return { type: 'done' }
    case 'status':
      return { type: 'status', status: run.status() }
    case 'finish':
      return { type: 'report', report: await run.finish(order.timeoutMs) }
  }
}

process.on('message', (order: Order & { readonly order: number }) => {
  obey(order).then(
    (message) => reply(order.order, message),
    (error: unknown) => reply(order.order, { type: 'failed', reason: String(error) }),
  )
})
// Without its parent there is nobody to load for.
process.on('disconnect', () => process.exit())
