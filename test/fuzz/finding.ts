/**
 * What a target says of what was thrown at it.
 */

/** Something that must not be: a sentence, and the input that brought it about. */
export interface Finding {
  readonly what: string
  readonly input: string
}

export interface Target {
  readonly name: string
  /** Throws so many inputs. @throws Error when the service does not live any more */
  run(inputs: number, onInput: (count: number) => void): Promise<readonly Finding[]>
}

/** One broken thing shows itself many times; nobody reads all of them. */
export const MAX_FINDINGS = 20
const SHOWN_CHARS = 400

export const shown = (input: string | Buffer): string => {
  const text = typeof input === 'string' ? input : `base64:${input.toString('base64')}`
  return text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}… (${text.length})`
}
