/**
 * Where we are now, and how to get elsewhere.
 */
import { type Route, routeOf } from './model/address.js'
import { Store } from './store.js'

export { hashOf, type Route, VIEWS, type View } from './model/address.js'

export const route = new Store<Route>(routeOf(location.hash))
window.addEventListener('hashchange', () => route.set(routeOf(location.hash)))

/** Goes there; `replace` leaves no trace in the history, for what changes with every key. */
export function go(hash: string, replace = false): void {
  if (hash === location.hash) return
  if (!replace) {
    location.hash = hash
    return
  }
  history.replaceState(null, '', hash)
  route.set(routeOf(hash))
}
