/**
 * Lets an edge follow the settings of who may come in, and both ports the files of their certificate.
 */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../config/load.js'
import type { Edge } from '../edge/edge.js'
import type { AdminServer } from '../telemetry/admin-server.js'
import { authSettings } from './edge-parts.js'
import type { Foundation } from './planes.js'

type Followed = Pick<Foundation, 'config' | 'settings' | 'log'>

export function followCredentials(foundation: Followed, edge: Pick<Edge, 'reload'>): void {
  const { settings, log } = foundation
  const renew = ({ auth }: Config): void => {
    edge.reload(authSettings(auth)).catch((err: unknown) => {
      log.error({ err }, 'who may come in was not changed, or the certificate was not: the former ones count')
    })
  }
  settings.onChanged((now, before) => {
    if (!isDeepStrictEqual(now.auth, before.auth)) renew(now)
  })
  watchCertificate(foundation, 'DAEMON_TLS_CERT_FILE', renew)
}

export function followMetricsCertificate(foundation: Followed, admin: Pick<AdminServer, 'renewCertificate'>): void {
  if (!foundation.config.monitoring.metricsTls) return
  watchCertificate(foundation, 'DAEMON_TLS_CERT_FILE for METRICS_TLS', () => {
    try {
      admin.renewCertificate()
    } catch (err) {
      // Half of a renewal, mostly: the other half is looked at when it comes.
      foundation.log.error({ err }, 'the certificate of the metrics was not changed: the one in use stays')
    }
  })
}

function watchCertificate({ config, settings, log }: Followed, name: string, onChanged: (now: Config) => void): void {
  const { tlsCertFile, tlsKeyFile } = config.server
  const files = [tlsCertFile, tlsKeyFile].filter((file) => file !== undefined)
  if (files.length === 0) return
  const read = () => Promise.all(files.map((file) => readFile(resolve(file), 'utf8')))
  // Compared with what the next reload finds: what was there at the start, the server has read itself.
  const file = { name, read, adopt: (_texts: string[], now: Config) => onChanged(now) }
  void read().then(
    (texts) => settings.watch(file, texts),
    (err: unknown) => log.warn({ err }, 'the files of the certificate are not followed'),
  )
}
