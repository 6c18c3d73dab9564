/**
 * Settings of who may come in, and how much each may ask for.
 */
import { apiKeys } from '../api-keys.js'
import { choice, duration, flag, milliseconds, origins, secret, text, wholeNumber } from '../kinds.js'
import { optional, setting } from '../setting.js'

export const AUTH_MODES = ['jwt', 'api-key', 'both'] as const
export type AuthMode = (typeof AUTH_MODES)[number]

/** HS256 is no stronger than its secret: 256 bits of it. */
const MIN_SECRET_CHARACTERS = 32
const MAX_CONNECTIONS = 100_000
const MAX_RATE = 100_000_000

export const auth = {
  jwtSecret: optional(
    'DAEMON_JWT_SECRET',
    secret(MIN_SECRET_CHARACTERS),
    'Signs and checks tokens of clients (HS256)',
    {
      secret: true,
      aliases: ['DAEMON_AUTH_JWT_SECRET'],
    },
  ),
  jwtExpirationSeconds: setting('DAEMON_JWT_EXPIRATION', duration, '24h', 'Life of a token that the daemon issues', {
    aliases: ['DAEMON_AUTH_JWT_EXPIRES_SEC'],
  }),
  issuer: setting('DAEMON_JWT_ISSUER', text, 'wundr-orchestrator', 'Issuer that tokens must name', {
    aliases: ['DAEMON_AUTH_JWT_ISSUER'],
  }),
  audience: setting('DAEMON_JWT_AUDIENCE', text, 'wundr-daemon', 'Audience that tokens must name', {
    aliases: ['DAEMON_AUTH_JWT_AUDIENCE'],
  }),
  mode: setting('DAEMON_AUTH_MODE', choice(AUTH_MODES), 'both', 'What clients may come with'),
  apiKeys: setting('DAEMON_AUTH_API_KEYS', apiKeys, '[]', 'Keys that programs may come with', { secret: true }),
  allowLoopback: setting(
    'DAEMON_AUTH_ALLOW_LOOPBACK',
    flag,
    'false',
    'Let clients on this machine in without credentials, as administrators',
  ),
  maxConnections: setting(
    'DAEMON_AUTH_MAX_CONNECTIONS',
    wholeNumber(1, MAX_CONNECTIONS),
    '10',
    'Connections at one time, per client',
  ),
  rateLimitEnabled: setting('DAEMON_RATE_LIMIT_ENABLED', flag, 'true', 'Refuse messages of clients that send too many'),
  rateLimitMax: setting('DAEMON_RATE_LIMIT_MAX', wholeNumber(1, MAX_RATE), '100', 'Messages per window, per client', {
    aliases: ['DAEMON_AUTH_RATE_LIMIT_MAX'],
  }),
  rateLimitWindowMs: setting('DAEMON_RATE_LIMIT_WINDOW', milliseconds(1_000), '60000', 'The window', {
    unit: 'milliseconds',
    aliases: ['DAEMON_AUTH_RATE_LIMIT_WINDOW_MS'],
  }),
  corsEnabled: setting('DAEMON_CORS_ENABLED', flag, 'false', 'Let pages of other origins read HTTP answers'),
  corsOrigins: setting('DAEMON_CORS_ORIGINS', origins, 'http://localhost:3000', 'Origins whose pages may'),
}
