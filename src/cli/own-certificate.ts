/**
 * How a command recognises the daemon of its own settings over TLS: by the very certificate that they name, for whatever
 * host it was made. A daemon on this machine is reached as 127.0.0.1, which certificates are hardly ever for.
 */
import { readFileSync } from 'node:fs'
import type { SecureContextOptions } from 'node:tls'
import type { WebSocketConstructor } from '../client/web-socket.js'
import type { Config } from '../config/load.js'
import { CommandFailure } from './exit.js'

/** Options of a TLS connection. */
export type Trust = SecureContextOptions & {
  readonly allowPartialTrustChain: true
  readonly checkServerIdentity: () => undefined
}

/** The first of a file; what follows are those that lead to an authority, which others have certificates of too. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/

/** Undefined where the daemon speaks no TLS. @throws CommandFailure when its certificate cannot be read here */
export function ownCertificate({ server }: Pick<Config, 'server'>): Trust | undefined {
  const { tlsCertFile: file } = server
  if (file === undefined) return undefined
  try {
    const [ca] = CERTIFICATE.exec(readFileSync(file, 'utf8')) ?? []
    if (ca === undefined) throw new Error('it holds no certificate')
    return { ca, allowPartialTrustChain: true, checkServerIdentity: () => undefined }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new CommandFailure(`the certificate ${file} of the daemon cannot be read: ${reason}`, undefined, { cause })
  }
}

/** The same WebSocket, which trusts nobody else. Of the package `ws`, which alone takes options. */
export function trusting(webSocket: WebSocketConstructor, trust: Trust): WebSocketConstructor {
  const Secured = webSocket as new (url: string, options: Trust) => InstanceType<WebSocketConstructor>
  return class extends Secured {
    constructor(url: string) {
      super(url, trust)
    }
  }
}
