/**
 * The HTTP door as a page to read: every endpoint, and every error.
 */
import { ERRORS } from '../errors.js'
import { type Endpoint, TAGS } from './endpoint.js'
import { ENDPOINT_NAMES, ENDPOINTS } from './endpoints.js'
import { openApiDocument } from './openapi.js'

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
code{font:13px ui-monospace,monospace;background:#f3f3f3;padding:.1em .3em}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #ddd}h2{margin-top:2rem}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}code{background:#333}td,th{border-color:#444}}`

export function docsPage(version: string): string {
  const operations = operationsOf(version)
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>orchestrator-daemon ${escaped(version)}</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style></head><body>
<h1>orchestrator-daemon ${escaped(version)}</h1>
<p>The whole description for programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1). Credentials, roles and limits
are those of the WebSocket. <code>Idempotency-Key</code> lets a command take effect once, however often it is sent.</p>
${TAGS.map((tag) => section(tag, operations)).join('\n')}
<h2>Errors</h2><table><tr><th>code</th><th>status</th><th>again?</th><th>says</th></tr>${errorRows()}</table>
</body></html>`
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required: boolean
}
type Operations = Readonly<Record<string, Readonly<Record<string, { readonly parameters: readonly Parameter[] }>>>>

const operationsOf = (version: string): Operations => openApiDocument(version).paths as Operations

function section(tag: Endpoint['tag'], operations: Operations): string {
  const endpoints = ENDPOINT_NAMES.map((name): Endpoint => ENDPOINTS[name]).filter((endpoint) => endpoint.tag === tag)
  return `<h2>${tag}</h2><table>${endpoints.map((endpoint) => row(endpoint, operations)).join('')}</table>`
}

function row({ method, path, aliases = [], summary, action, answers }: Endpoint, operations: Operations): string {
  const operation = operations[path.replace('*}', '}')]?.[method.toLowerCase()]
  const query = (operation?.parameters ?? []).filter((parameter) => parameter.in === 'query')
  const names = query.map(({ name, required }) => `<code>${escaped(name)}${required ? '' : '?'}</code>`).join(' ')
  const also = aliases.map((alias) => `<br><small>also <code>${escaped(alias)}</code></small>`).join('')
  const who = action === undefined ? 'open' : `needs <code>${action}</code>`
  return `<tr><td><code>${method}</code></td><td><code>${escaped(path)}</code>${also}</td>
<td>${escaped(summary)} ${names}<br><small>${who}; ${Object.keys(answers).join(', ')}</small></td></tr>`
}

const errorRows = (): string =>
  Object.entries(ERRORS)
    .map(
      ([code, { http, retryable, text }]) =>
        `<tr id="${code}"><td><code>${code}</code></td><td>${http}</td><td>${retryable ? 'yes' : ''}</td><td>${escaped(text)}</td></tr>`,
    )
    .join('')

const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
