/**
 * The certificate of the client port, as files.
 */
import type { AppOptions } from 'uWebSockets.js'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createSecureContext } from 'node:tls'

export interface CertificateSettings {
  /** PEM: the certificate first, then those that lead to one that clients know. */
  readonly certFile: string
  readonly keyFile: string
  readonly passphrase: string | undefined
  /** Between looks at the files; default a minute. */
  readonly lookMs?: number | undefined
}

/** A certificate as it stood in its files. */
export interface Certificate {
  /** What the transport is given. */
  readonly options: AppOptions
  /** Of what is in the files; another one when something in them has changed. */
  readonly fingerprint: string
}

/**
 * Read here too, because the transport does not say what is wrong.
 * @throws Error with one sentence when the files are not a certificate and its key
 */
export function readCertificate({ certFile, keyFile, passphrase }: CertificateSettings): Certificate {
  const secret = passphrase === undefined ? {} : { passphrase }
  try {
    const [cert, key] = [readFileSync(certFile), readFileSync(keyFile)]
    createSecureContext({ cert, key, ...secret })
    const fingerprint = createHash('sha256').update(cert).update(key).digest('hex')
    return { options: { cert_file_name: certFile, key_file_name: keyFile, ...secret }, fingerprint }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${certFile} and ${keyFile} are not a certificate and its key: ${reason}`, { cause })
  }
}

/**
 * A port that nobody has: the given one, or for 0 one that the system chooses. For listening in a way that lets a second
 * socket of this process take over, which would let another process share the port too: it is asked first.
 * @throws whatever the system says when it cannot be had
 */
export function unsharedPort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen({ host, port, exclusive: true }, () => {
      const address = probe.address()
      const found = typeof address === 'object' && address !== null ? address.port : port
      probe.close(() => resolve(found))
    })
  })
}
