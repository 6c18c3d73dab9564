/**
 * Signatures of tokens, checked at once. An algorithm belongs to one kind of key: a public key is never taken for a secret.
 */
import { createHmac, type KeyObject, timingSafeEqual, verify } from 'node:crypto'

/** For public keys; Ed25519 alone of what EdDSA may stand for. */
export const PUBLIC_KEY_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const
export type PublicKeyAlgorithm = (typeof PUBLIC_KEY_ALGORITHMS)[number]
/** For secrets. */
export const SECRET_ALGORITHM = 'HS256'

/** HMAC with SHA-256 over the first two parts (RFC 7515, appendix A.1), compared in constant time. */
export function isSignedWithSecret(token: string, secret: Uint8Array): boolean {
  const { input, signature } = partsOf(token)
  const expected = createHmac('sha256', secret).update(input).digest()
  return signature.length === expected.length && timingSafeEqual(signature, expected)
}

/** Whether the private half of `key` has signed it, by this algorithm. */
export function isSignedWithKey(token: string, algorithm: PublicKeyAlgorithm, key: KeyObject): boolean {
  const { input, signature } = partsOf(token)
  const data = Buffer.from(input)
  switch (algorithm) {
    case 'RS256':
      return verify('sha256', data, key, signature)
    case 'ES256':
      return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature)
    case 'EdDSA':
      return verify(null, data, key, signature)
  }
}

function partsOf(token: string): { readonly input: string; readonly signature: Buffer } {
  const end = token.lastIndexOf('.')
  return { input: token.slice(0, end), signature: Buffer.from(token.slice(end + 1), 'base64url') }
}
