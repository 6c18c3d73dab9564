/**
 * The credential of whoever sits in front: kept for this tab alone, and gone with it. It is sent in headers, and to the
 * WebSocket as the client library does it, which is the only way that a browser has.
 */
const KEY = 'orchestrator.credential'

export const keptCredential = (): string | undefined => sessionStorage.getItem(KEY) ?? undefined

export function keepCredential(credential: string | undefined): void {
  if (credential === undefined) sessionStorage.removeItem(KEY)
  else sessionStorage.setItem(KEY, credential)
}

/** A token has three parts with dots between them; anything else is taken for an API key. */
const isToken = (credential: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(credential)

export function headersWith(credential: string | undefined): Record<string, string> {
  if (credential === undefined) return {}
  return isToken(credential) ? { authorization: `Bearer ${credential}` } : { 'x-api-key': credential }
}

/** The address of the WebSocket, and the token that the client adds to it. */
export function socketAddress(root: URL, credential: string | undefined): { url: string; token?: string } {
  const url = new URL('ws', root)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  if (credential === undefined) return { url: url.href }
  if (isToken(credential)) return { url: url.href, token: credential }
  url.searchParams.set('apiKey', credential)
  return { url: url.href }
}
