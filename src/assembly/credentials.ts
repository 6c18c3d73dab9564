/**
 * Lets an edge follow the settings of who may come in, and the files of its certificate.
 */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../config/load.js'
import type { Edge } from '../edge/edge.js'
import { authSettings } from './edge-parts.js'
import type { Foundation } from './planes.js'

export function followCredentials(
  { config, settings, log }: Pick<Foundation, 'config' | 'settings' | 'log'>,
  edge: Pick<Edge, 'reload'>,
): void {
  const renew = ({ auth }: Config): void => {
    edge.reload(authSettings(auth)).catch((err: unknown) => {
      log.error({ err }, 'who may come in was not changed, or the certificate was not: the former ones count')
    })
  }
  settings.onChanged((now, before) => {
    if (!isDeepStrictEqual(now.auth, before.auth)) renew(now)
  })
  const { tlsCertFile, tlsKeyFile } = config.server
  const files = [tlsCertFile, tlsKeyFile].filter((file) => file !== undefined)
  if (files.length === 0) return
  const read = () => Promise.all(files.map((file) => readFile(resolve(file), 'utf8')))
  // Compared with what the next reload finds: what was there at the start, the server has read itself.
  const file = { name: 'DAEMON_TLS_CERT_FILE', read, adopt: (_texts: string[], now: Config) => renew(now) }
  void read().then(
    (texts) => settings.watch(file, texts),
    (err: unknown) => log.warn({ err }, 'the files of the certificate are not followed'),
  )
}
