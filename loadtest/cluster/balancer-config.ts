/**
 * The configuration of the compose cluster's load balancer for edges that are processes of this machine: what decides how
 * connections are dealt out stays word for word, addresses are exchanged.
 */
import { readFileSync } from 'node:fs'

const TEMPLATE = new URL('../../deploy/haproxy.cfg', import.meta.url)
/** Sections that know Docker, or that nobody looks at here. */
const LEFT_OUT = ['resolvers', 'listen']

export interface BalancedEdge {
  readonly port: number
  /** Where it says whether it is ready. */
  readonly metricsPort: number
}

export const balancerTemplate = (): string => readFileSync(TEMPLATE, 'utf8')

/** Comments are for readers of the template. @throws Error when the template has lost a line that is exchanged here. */
export function balancerConfig(template: string, port: number, edges: readonly BalancedEdge[]): string {
  const lines = template.split('\n').filter((line) => !/^\s*#/.test(line))
  const sections = lines
    .join('\n')
    .split(/^(?=\S)/m)
    .filter((section) => !LEFT_OUT.some((word) => section.startsWith(word)))
  const servers = edges.map(
    (edge, index) => `    server edge-${index + 1} 127.0.0.1:${edge.port} check port ${edge.metricsPort}`,
  )
  return [
    [/^ {4}log stdout.*$/m, '    # Nobody reads its log here.'],
    [/^ {4}bind :8787$/m, `    bind 127.0.0.1:${port}`],
    // The rest of the servers' settings is what is under test.
    [/(^ {4}default-server .*)check port 9090 /m, '$1'],
    [/(^ {4}default-server .*) resolvers docker init-addr none/m, '$1'],
    [/^ {4}server-template .*$/gm, servers.join('\n')],
  ].reduce(
    (text, [pattern, replacement]) => exchanged(text, pattern as RegExp, replacement as string),
    sections.join(''),
  )
}

function exchanged(text: string, pattern: RegExp, replacement: string): string {
  if (!pattern.test(text)) throw new Error(`deploy/haproxy.cfg has no line like ${pattern}`)
  return text.replace(pattern, replacement)
}
