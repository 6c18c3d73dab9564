/**
 * Settings of who may come in, and how much each may ask for.
 */
import { apiKeys } from '../api-keys.js'
import {
  choice,
  duration,
  flag,
  listOf,
  milliseconds,
  networks,
  origins,
  secret,
  secrets,
  text,
  url,
  wholeNumber,
} from '../kinds.js'
import { optional, setting } from '../setting.js'

export const AUTH_MODES = ['jwt', 'api-key', 'both'] as const
export type AuthMode = (typeof AUTH_MODES)[number]

/** HS256 is no stronger than its secret: 256 bits of it. */
const MIN_SECRET_CHARACTERS = 32
/** Each is tried for every token that no later one has signed. */
const MAX_PREVIOUS_SECRETS = 4
const JWKS_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const
const MAX_CONNECTIONS = 100_000
const MAX_RATE = 100_000_000

export const auth = {
  jwtSecret: optional(
    'DAEMON_JWT_SECRET',
    secret(MIN_SECRET_CHARACTERS),
    'Signs and checks tokens of clients (HS256)',
    {
      secret: true,
      live: true,
      aliases: ['DAEMON_AUTH_JWT_SECRET'],
    },
  ),
  jwtPreviousSecrets: setting(
    'DAEMON_JWT_PREVIOUS_SECRETS',
    secrets(MIN_SECRET_CHARACTERS, MAX_PREVIOUS_SECRETS),
    '[]',
    'Secrets from before a rotation, as a JSON list: their tokens are still good',
    { secret: true, live: true },
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
  jwksUrl: optional(
    'DAEMON_JWKS_URL',
    url('https', 'http'),
    'Public keys of another issuer whose tokens are good too (JWKS); fetched every 5 minutes, and for a key that is new',
  ),
  jwksAlgorithms: setting(
    'DAEMON_JWKS_ALGORITHMS',
    listOf(JWKS_ALGORITHMS),
    JWKS_ALGORITHMS.join(','),
    'Algorithms that the other issuer may sign with',
  ),
  jwksIssuer: optional('DAEMON_JWKS_ISSUER', text, 'Issuer that its tokens must name; when not set, DAEMON_JWT_ISSUER'),
  jwksAudience: optional(
    'DAEMON_JWKS_AUDIENCE',
    text,
    'Audience that its tokens must name; when not set, DAEMON_JWT_AUDIENCE',
  ),
  mode: setting('DAEMON_AUTH_MODE', choice(AUTH_MODES), 'both', 'What clients may come with'),
  apiKeys: setting('DAEMON_AUTH_API_KEYS', apiKeys, '[]', 'Keys that programs may come with', {
    secret: true,
    live: true,
  }),
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
    { live: true },
  ),
  rateLimitEnabled: setting(
    'DAEMON_RATE_LIMIT_ENABLED',
    flag,
    'true',
    'Refuse messages of clients that send too many',
    {
      live: true,
    },
  ),
  maxConnectionsPerAddress: optional(
    'DAEMON_AUTH_MAX_CONNECTIONS_PER_ADDRESS',
    wholeNumber(1, MAX_CONNECTIONS),
    'Connections at one time from one address (IPv6: from a /64), whoever has them; when not set, as many as they like',
    { live: true },
  ),
  rateLimitMax: setting('DAEMON_RATE_LIMIT_MAX', wholeNumber(1, MAX_RATE), '100', 'Messages per window, per client', {
    aliases: ['DAEMON_AUTH_RATE_LIMIT_MAX'],
    live: true,
  }),
  rateLimitMaxPerAddress: optional(
    'DAEMON_RATE_LIMIT_MAX_PER_ADDRESS',
    wholeNumber(1, MAX_RATE),
    'Messages, requests and attempts to come in per window from one address, whoever sends them; when not set, as many as they like',
    { live: true },
  ),
  rateLimitWindowMs: setting('DAEMON_RATE_LIMIT_WINDOW', milliseconds(1_000), '60000', 'The window, which slides', {
    unit: 'milliseconds',
    aliases: ['DAEMON_AUTH_RATE_LIMIT_WINDOW_MS'],
    live: true,
  }),
  trustedProxies: setting(
    'DAEMON_TRUSTED_PROXIES',
    networks,
    '',
    'Proxies that may say for whom they speak (X-Forwarded-For), such as 10.0.0.0/8; of others it is not believed',
  ),
  proxyProtocol: setting(
    'DAEMON_PROXY_PROTOCOL',
    flag,
    'false',
    'Believe DAEMON_TRUSTED_PROXIES by the PROXY protocol (version 2) too',
  ),
  corsEnabled: setting('DAEMON_CORS_ENABLED', flag, 'false', 'Let pages of other origins read HTTP answers'),
  corsOrigins: setting('DAEMON_CORS_ORIGINS', origins, 'http://localhost:3000', 'Origins whose pages may'),
}
