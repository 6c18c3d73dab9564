/**
 * What follows from several settings: addresses of stores that were given in parts, a certificate with its key.
 */
import type { Values } from './schema.js'

/** `values` with the URL of a store that was given as host, port and so on. A URL that is set stands. */
export function derive(values: Values): Values {
  const { redis, database } = values
  const redisUrl = redis.url ?? (redis.clusterNodes || redis.sentinels ? undefined : redisUrlOf(redis))
  return {
    ...values,
    redis: { ...redis, url: redisUrl },
    database: { ...database, url: database.url ?? databaseUrlOf(database) },
  }
}

/** The files of the certificate; undefined without one. */
export function certificateOf({ server }: Pick<Values, 'server'>) {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsKeyPassphrase: passphrase } = server
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile, passphrase }
}

/** Origins whose pages may read answers over HTTP; undefined: none. */
export const corsOriginsOf = ({ auth }: Pick<Values, 'auth'>): readonly string[] | undefined =>
  auth.corsEnabled ? auth.corsOrigins : undefined

function redisUrlOf({ host, port }: Values['redis']): string | undefined {
  return host === undefined ? undefined : `redis://${bracketed(host)}:${port}`
}

function databaseUrlOf({ host, port, user, password, name }: Values['database']): string | undefined {
  if (host === undefined) return undefined
  const [asUser, withPassword, inDatabase] = [user, password, name].map(encodeURIComponent)
  return `postgres://${asUser}:${withPassword}@${bracketed(host)}:${port}/${inDatabase}`
}

/** An IPv6 address stands in brackets before a port. */
const bracketed = (host: string): string => (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host)
