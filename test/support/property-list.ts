/**
 * Reads a property list as launchd does: strict XML of the few elements that such a list has. Anything else is an error.
 */

type Value = string | boolean | readonly Value[] | { readonly [key: string]: Value }

const TOKEN = /\s*(?:<(\/?)(\w+)(\/?)>|([^<]+))/y
const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
}
const HEAD =
  /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<!DOCTYPE plist PUBLIC "[^"]+" "[^"]+">\n<plist version="1\.0">\n([\s\S]*)<\/plist>\n$/

interface Token {
  readonly kind: 'open' | 'close' | 'empty' | 'text'
  readonly name: string
}

/** @throws Error with what is not as it should be */
export function propertyList(text: string): Readonly<Record<string, Value>> {
  const [, body] = HEAD.exec(text) ?? []
  if (body === undefined) throw new Error(`this is no property list:\n${text}`)
  const tokens = tokensOf(body)
  const value = readValue(tokens)
  if (tokens.length > 0 || typeof value !== 'object' || Array.isArray(value))
    throw new Error('it is not one dictionary')
  return value as Readonly<Record<string, Value>>
}

function tokensOf(body: string): Token[] {
  const tokens: Token[] = []
  const reader = new RegExp(TOKEN)
  const end = body.trimEnd().length
  while (reader.lastIndex < end) {
    const from = reader.lastIndex
    const [, close, name = '', empty, content = ''] = reader.exec(body) ?? []
    if (name === '' && content === '') throw new Error(`no XML: ${body.slice(from, from + 40)}`)
    if (name === '') tokens.push({ kind: 'text', name: unescaped(content) })
    else tokens.push({ kind: close ? 'close' : empty ? 'empty' : 'open', name })
  }
  return tokens
}

function unescaped(text: string): string {
  return text.replace(/&\w*;?/g, (entity) => {
    const character = ENTITIES[entity]
    if (character === undefined) throw new Error(`${entity} is no XML`)
    return character
  })
}

function take(tokens: Token[], kind: Token['kind'], name?: string): string {
  const token = tokens.shift()
  if (token?.kind !== kind || (name !== undefined && token.name !== name)) {
    throw new Error(`expected ${kind} ${name ?? ''}, found ${token?.kind} ${token?.name}`)
  }
  return token.name
}

function element(tokens: Token[], name: string): string {
  take(tokens, 'open', name)
  const text = take(tokens, 'text')
  take(tokens, 'close', name)
  return text
}

function readValue(tokens: Token[]): Value {
  const [next] = tokens
  if (next?.kind === 'empty') return take(tokens, 'empty') === 'true'
  if (next?.name === 'string') return element(tokens, 'string')
  const name = take(tokens, 'open')
  const values: Value[] = []
  const entries: [string, Value][] = []
  while (tokens[0]?.kind !== 'close') {
    if (name === 'array') values.push(readValue(tokens))
    else entries.push([element(tokens, 'key'), readValue(tokens)])
  }
  take(tokens, 'close', name)
  return name === 'array' ? values : Object.fromEntries(entries)
}
