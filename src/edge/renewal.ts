/**
 * What an edge takes up while it runs: who may come in, and its certificate.
 */
import type { Authenticator } from './auth.js'
import { CertificateWatch } from './certificate-watch.js'
import type { Connections } from './connections.js'
import type { EdgeLog } from './dependencies.js'
import type { Server } from './server.js'
import type { AuthSettings, EdgeSettings } from './settings.js'

export interface RenewalParts {
  readonly authenticator: Authenticator
  readonly connections: Connections
  readonly server: Server
  readonly certificate: EdgeSettings['certificate']
  readonly trace: EdgeLog
}

export class Renewal {
  readonly #parts: RenewalParts
  readonly #watch: CertificateWatch | undefined
  #renewing: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(parts: RenewalParts) {
    this.#parts = parts
    const { certificate, server, trace } = parts
    const renew = () => this.#inTurn(() => server.renewCertificate())
    this.#watch = certificate && new CertificateWatch(renew, trace, certificate.lookMs)
  }

  /** Looks after the files of the certificate from now on. */
  start(): void {
    this.#watch?.start()
  }

  /** Takes up nothing more. May be called twice. */
  stop(): void {
    this.#isStopped = true
    this.#watch?.stop()
  }

  /** See `Edge.reload`. */
  reload(auth: AuthSettings): Promise<void> {
    const { authenticator, connections, server } = this.#parts
    return this.#inTurn(async () => {
      await authenticator.renew(auth)
      connections.endUnless((principal) => authenticator.stillHolds(principal))
      await server.renewCertificate()
    })
  }

  /** One after the other. What went wrong with one is told to its caller, and keeps none behind it. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#renewing.then(() => (this.#isStopped ? undefined : work()))
    this.#renewing = done.catch(() => undefined)
    return done
  }
}
