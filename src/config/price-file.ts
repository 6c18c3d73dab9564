/**
 * A file of prices, JSON or YAML, in place of the built-in table:
 *
 *   asOf: 2026-11-22
 *   models:
 *     gpt-5: { input: 1.25, output: 10, cached: 0.125 }      US dollars per million tokens
 */
import { readFileSync } from 'node:fs'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'

/** Far more than all models of all vendors. */
const MAX_CHARACTERS = 1_048_576
/** A model that costs a thousand times what the dearest one does is a mistake. */
const MAX_PRICE = 100_000

const price = z.number().min(0).max(MAX_PRICE)
const fileSchema = z.strictObject({
  asOf: z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'must be a date such as 2026-11-22'),
  models: z.record(
    z.string().min(1).max(256),
    z.strictObject({ input: price, output: price, cached: price.optional(), cacheWrite: price.optional() }),
  ),
})

export interface PriceFile {
  readonly asOf: string
  /** By model family, in lower case. */
  readonly models: ReadonlyMap<
    string,
    { readonly input: number; readonly output: number; readonly cached?: number; readonly cacheWrite?: number }
  >
}

/** @throws Error that names the file, the line and the field */
export function readPriceFile(path: string): PriceFile {
  const lines = new LineCounter()
  // JSON is YAML too.
  const document = parseDocument(textOf(path), { lineCounter: lines, prettyErrors: false })
  const [broken] = document.errors
  if (broken) throw wrong(path, lines.linePos(broken.pos[0]).line, broken.message)
  const result = fileSchema.safeParse(document.toJS())
  if (result.success) return { asOf: result.data.asOf, models: modelsOf(result.data.models) }
  const [issue] = result.error.issues
  const field = issue?.path.map(String) ?? []
  const at = nearestNode(document, field)
  throw wrong(
    path,
    at === undefined ? 1 : lines.linePos(at).line,
    `${field.join('.') || 'the file'}: ${issue?.message}`,
  )
}

function textOf(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new Error(`TOKEN_PRICES_FILE ${path} could not be read: ${code === 'ENOENT' ? 'it is not there' : code}`)
  }
  if (text.length > MAX_CHARACTERS)
    throw new Error(`TOKEN_PRICES_FILE ${path} is longer than ${MAX_CHARACTERS} characters`)
  return text
}

const wrong = (path: string, line: number, reason: string): Error =>
  new Error(`TOKEN_PRICES_FILE ${path}, line ${line}: ${reason}`)

/** Where a field begins, or what it should stand in. */
function nearestNode(document: ReturnType<typeof parseDocument>, field: readonly string[]): number | undefined {
  for (let depth = field.length; depth >= 0; depth--) {
    const node = document.getIn(field.slice(0, depth), true) as { readonly range?: readonly number[] } | undefined
    if (node?.range) return node.range[0]
  }
  return undefined
}

const modelsOf = (models: z.infer<typeof fileSchema>['models']): PriceFile['models'] =>
  new Map(
    Object.entries(models).map(([name, { input, output, cached, cacheWrite }]) => [
      name.toLowerCase(),
      { input, output, ...(cached !== undefined && { cached }), ...(cacheWrite !== undefined && { cacheWrite }) },
    ]),
  )
