/**
 * From the path of a request to its endpoint.
 */
import { ENDPOINT_NAMES, ENDPOINTS, type EndpointName } from '../../protocol/rest/endpoints.js'

export interface Match {
  readonly name: EndpointName
  readonly params: Readonly<Record<string, string>>
}

interface Route {
  readonly name: EndpointName
  readonly method: string
  readonly segments: readonly string[]
}

const REST = /^\{(\w+)\*\}$/
const NAMED = /^\{(\w+)\}$/

const ROUTES: readonly Route[] = ENDPOINT_NAMES.flatMap((name) => {
  const { method, path, ...more } = ENDPOINTS[name]
  const paths = [path, ...('aliases' in more ? more.aliases : [])]
  return paths.map((each) => ({ name, method, segments: each.split('/').slice(1) }))
  // Words before names: `/api/memory/search` is not a memory that is called so.
}).toSorted((a, b) => variables(a) - variables(b))

function variables({ segments }: Route): number {
  return segments.filter((segment) => segment.startsWith('{')).length
}

/** `methods`: the path exists, for others. Undefined where there is nothing. */
export function match(method: string, path: string): Match | { readonly methods: readonly string[] } | undefined {
  const segments = path.split('/').slice(1)
  const methods: string[] = []
  for (const route of ROUTES) {
    const params = paramsOf(route.segments, segments)
    if (!params) continue
    if (route.method === method) return { name: route.name, params }
    methods.push(route.method)
  }
  return methods.length === 0 ? undefined : { methods: [...new Set(methods)].sort() }
}

function paramsOf(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  const params: Record<string, string> = {}
  for (const [index, part] of pattern.entries()) {
    const rest = REST.exec(part)?.[1]
    if (rest !== undefined) {
      const value = decoded(segments.slice(index).join('/'))
      return value ? { ...params, [rest]: value } : undefined
    }
    const segment = segments[index]
    const name = NAMED.exec(part)?.[1]
    if (name === undefined ? segment !== part : !segment) return undefined
    const value = name === undefined ? '' : decoded(segment ?? '')
    if (value === undefined) return undefined
    if (name !== undefined) params[name] = value
  }
  return pattern.length === segments.length ? params : undefined
}

/** Undefined for what is no text: nothing has such a name. */
function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}
