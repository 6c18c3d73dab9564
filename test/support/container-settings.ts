/**
 * Settings of a container as its program reads them: those of the image, below those that whoever starts it gives it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, loadConfig } from '../../src/config/load.js'
import { readText } from './deployment-files.js'
import type { Container, Manifest } from './manifest-faults.js'

type Environment = Readonly<Record<string, string>>

/** Values of the Secret, for settings that must look like something. */
const SAMPLES: Environment = {
  DAEMON_JWT_SECRET: 'a-secret-of-at-least-thirty-two-characters',
  REDIS_URL: 'redis://redis:6379',
  DATABASE_URL: 'postgres://user:word@postgres/orchestrator',
  POSTGRES_PASSWORD: 'word',
  DAEMON_JWT_PREVIOUS_SECRETS: '["a-secret-of-before-with-thirty-two-characters"]',
  DAEMON_AUTH_API_KEYS: '[{"key":"a-key-of-at-least-thirty-two-characters","clientId":"ci"}]',
  TOKEN_BUDGET_WEBHOOK_URL: 'https://hooks.example.com/',
  TOKEN_BUDGET_CHAT_URL: 'https://chat.example.com/hooks/x',
}

/** What the last stage of the image sets. */
export function imageEnvironment(): Environment {
  const [, stage = ''] = readText('deploy/Dockerfile').match(/ AS slim\n([\s\S]*?)\nWORKDIR/) ?? []
  const pairs = [...stage.matchAll(/\b([A-Z_]+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value] as const)
  return Object.fromEntries(pairs)
}

/** What of a container counts here, as Kubernetes and Docker Compose have it. */
export interface Started {
  readonly command: string
  readonly environment: Environment
}

/** @throws ConfigError as the program would */
export function settingsOf({ command, environment }: Started): Config {
  const cwd = mkdtempSync(join(tmpdir(), 'container-'))
  try {
    const env = { ...imageEnvironment(), ...environment }
    return loadConfig({ flags: {}, env, cwd, isNode: command === 'start' })
  } finally {
    rmSync(cwd, { recursive: true })
  }
}

/** A container of Kubernetes. What may be missing in the Secret is missing, unless it is `full`. */
export function startedBy(container: Container, all: readonly Manifest[], full = false): Started {
  const given = (container.env ?? []).map((variable) => variableOf(variable, full))
  const maps = (container.envFrom ?? []).map(({ configMapRef }) =>
    all.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMapRef?.name),
  )
  const [command = 'start'] = container.args ?? []
  return {
    command,
    environment: Object.assign({}, ...maps.map((map) => map?.data), ...given),
  }
}

type Variable = NonNullable<Container['env']>[number]

function variableOf({ name, value, valueFrom }: Variable, full: boolean): Environment {
  if (value !== undefined) return { [name]: value }
  const secret = valueFrom?.secretKeyRef
  if (secret === undefined) return { [name]: 'pod-0' }
  return secret.optional && !full ? {} : { [name]: SAMPLES[name] ?? 'from-the-secret' }
}
