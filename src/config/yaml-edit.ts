/**
 * Changes one value in the text of a YAML file; everything else, comments too, stays as it is.
 */
import { isMap, parseDocument } from 'yaml'

/** `path` leads to the value. An empty value takes the setting out. @throws Error when the text is no YAML of names and values */
export function withValue(text: string, path: readonly string[], value: string): string {
  const document = parseDocument(text)
  const isEmpty = document.contents === null
  if (document.errors.length > 0 || !(isEmpty || isMap(document.contents))) {
    throw new Error('the settings file is not YAML of names and values; mend it first')
  }
  if (value === '') document.deleteIn(path)
  else document.setIn(path, plain(value))
  return document.toString()
}

/** Numbers and switches without quotes, as one writes them. */
function plain(value: string): string | number | boolean {
  if (/^(0|[1-9]\d{0,14})$/.test(value)) return Number(value)
  if (value === 'true' || value === 'false') return value === 'true'
  return value
}
