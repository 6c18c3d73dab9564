/**
 * The files of the dashboard (`npm run build` puts them into dist/ui), served from memory at `/ui/`. The page and its parts
 * hold nothing that is secret: what they show they ask for with the credential of whoever looks.
 */
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

/** The same place seen from src/edge and from dist/edge. */
const BUILT = fileURLToPath(new URL('../../dist/ui/', import.meta.url))
const PATH = '/ui/'
const INDEX = 'index.html'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/**
 * Scripts, styles and connections of this origin and nothing else: no inline script runs, no other host is asked, no other
 * page may frame this one, and no text becomes markup.
 */
const POLICY = [
  ...["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'"],
  ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
  ...["require-trusted-types-for 'script'", "trusted-types 'none'"],
].join('; ')

const HEADERS: readonly (readonly [string, string])[] = [
  ['content-security-policy', POLICY],
  ['x-content-type-options', 'nosniff'],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-opener-policy', 'same-origin'],
]

/** The builder names these after their content, so that they never change. */
const IMMUTABLE = 'public, max-age=31536000, immutable'
/** Asked for each time, and answered with 304 as long as it is the same. */
const REVALIDATED = 'no-cache'

/** Below this a file fits one packet, and a header more would eat what is saved. */
const MIN_PACKED_BYTES = 1_024

interface Form {
  readonly body: Buffer
  readonly tag: string
}

interface File {
  readonly plain: Form
  /** For browsers, which all take it: a third of the bytes. Undefined where nothing is gained. */
  readonly gzip: Form | undefined
  readonly type: string
  readonly caching: string
}

export class Dashboard {
  readonly #files: ReadonlyMap<string, File>

  /** Reads what was built. Without a build there is no dashboard, which its address says. */
  constructor(folder: string = BUILT) {
    this.#files = existsSync(folder) ? filesIn(folder) : new Map()
  }

  register(app: TemplatedApp): void {
    app.any('/ui', (res) => {
      // Relative, so that it also holds behind a proxy that puts the service under a path.
      res.writeStatus('308 Permanent Redirect').writeHeader('location', 'ui/').end()
    })
    app.any(`${PATH}*`, (res, req) => this.#answer(res, req))
  }

  #answer(res: HttpResponse, req: HttpRequest): void {
    const method = req.getMethod()
    const file = this.#files.get(req.getUrl().slice(PATH.length) || INDEX)
    if (!file)
      sendText(res, '404 Not Found', this.#files.size > 0 ? 'Not Found' : 'The dashboard is not built: npm run build')
    else if (method !== 'get' && method !== 'head') sendText(res, '405 Method Not Allowed', 'Method Not Allowed')
    else {
      const takesGzip = /\bgzip\b(?!\s*;\s*q=0(\.0+)?\s*(,|$))/.test(req.getHeader('accept-encoding'))
      send(res, file, { method, known: req.getHeader('if-none-match'), takesGzip })
    }
  }
}

interface Asked {
  readonly method: string
  /** Tags of what the browser has. */
  readonly known: string
  readonly takesGzip: boolean
}

function send(res: HttpResponse, { plain, gzip, type, caching }: File, { method, known, takesGzip }: Asked): void {
  const packed = takesGzip ? gzip : undefined
  const { body, tag } = packed ?? plain
  const isKnown = known.split(',').some((each) => each.trim().replace(/^W\//, '') === tag)
  res.writeStatus(isKnown ? '304 Not Modified' : '200 OK')
  for (const [name, value] of HEADERS) res.writeHeader(name, value)
  res.writeHeader('etag', tag).writeHeader('cache-control', caching)
  if (gzip) res.writeHeader('vary', 'accept-encoding')
  if (isKnown) {
    res.endWithoutBody()
    return
  }
  res.writeHeader('content-type', type)
  if (packed) res.writeHeader('content-encoding', 'gzip')
  if (method === 'head') {
    // The transport takes an end with a length for none, and ends the process unless the answer looks as if it came later.
    res.onAborted(() => undefined)
    res.endWithoutBody(body.byteLength)
  } else res.end(body)
}

function sendText(res: HttpResponse, status: string, text: string): void {
  res.writeStatus(status).writeHeader('content-type', 'text/plain').writeHeader('cache-control', 'no-store').end(text)
}

/** By their path below `/ui/`. Only what is here is ever served, whatever the address says. */
function filesIn(folder: string): ReadonlyMap<string, File> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => extname(path) in TYPES)
  return new Map(paths.map((path) => [path.replaceAll(sep, '/'), fileAt(join(folder, path))]))
}

function fileAt(path: string): File {
  const body = readFileSync(path)
  const packed = body.byteLength < MIN_PACKED_BYTES ? body : gzipSync(body, { level: 9 })
  return {
    plain: { body, tag: tagOf(body) },
    gzip: packed.byteLength < body.byteLength ? { body: packed, tag: tagOf(packed) } : undefined,
    type: TYPES[extname(path)] ?? 'application/octet-stream',
    caching: path.endsWith(INDEX) ? REVALIDATED : IMMUTABLE,
  }
}

const tagOf = (body: Buffer): string => `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
