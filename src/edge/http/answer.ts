/**
 * What is answered to a request, before it is written to a socket.
 */

export type Header = readonly [name: string, value: string]

export interface Answer {
  readonly status: number
  /** Default JSON. */
  readonly type?: string
  readonly headers?: readonly Header[]
  readonly body: string | Uint8Array
}

export const JSON_TYPE = 'application/json'

export const json = (status: number, value: unknown, headers: readonly Header[] = []): Answer => ({
  ...{ status, headers, type: JSON_TYPE },
  body: JSON.stringify(value),
})

export const ok = (value: unknown): Answer => json(200, value)
