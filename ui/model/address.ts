/**
 * Where in the dashboard somebody is, as the hash of the address: `#/sessions/<id>?at=7-42`. Every place can be linked to.
 */

export const VIEWS = ['cluster', 'sessions', 'budgets', 'memory', 'charter'] as const
export type View = (typeof VIEWS)[number]

export interface Route {
  readonly view: View
  /** What of the view is open: the id of a session, for instance. */
  readonly id: string | undefined
  readonly query: Readonly<Record<string, string>>
}

export function routeOf(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?')
  const [view = '', id] = path.split('/').map(decoded)
  return {
    view: VIEWS.find((each) => each === view) ?? 'cluster',
    id: id || undefined,
    query: Object.fromEntries(new URLSearchParams(search)),
  }
}

/** Values that are empty are left out. */
export function hashOf(view: View, id?: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).filter((each): each is [string, string] => Boolean(each[1]))
  const search = new URLSearchParams(given).toString()
  return `#/${view}${id === undefined ? '' : `/${encodeURIComponent(id)}`}${search && `?${search}`}`
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    // Typed by hand: it names nothing, and that is what the view will say.
    return part
  }
}
