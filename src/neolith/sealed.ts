/**
 * Tokens as they stand in Redis: readable only for whoever has the key and the secret that brought them. A dump of Redis
 * opens nothing, and after a change of either the old tokens are as good as none.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { Tokens } from './tokens.js'

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16

export class Seal {
  readonly #key: Buffer

  constructor(apiKey: string, apiSecret: string) {
    this.#key = Buffer.from(hkdfSync('sha256', `${apiKey}\n${apiSecret}`, '', 'neolith tokens', KEY_BYTES))
  }

  close(tokens: Tokens): string {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv(CIPHER, this.#key, iv)
    const text = Buffer.concat([cipher.update(JSON.stringify(tokens), 'utf8'), cipher.final()])
    return Buffer.concat([iv, cipher.getAuthTag(), text]).toString('base64')
  }

  /** Undefined for what another key has closed, and for what is none of ours. */
  open(sealed: string): Tokens | undefined {
    const bytes = Buffer.from(sealed, 'base64')
    try {
      const decipher = createDecipheriv(CIPHER, this.#key, bytes.subarray(0, IV_BYTES))
      decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES))
      const text = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()])
      return JSON.parse(text.toString('utf8')) as Tokens
    } catch {
      return undefined // Tokens are brought anew then.
    }
  }
}
