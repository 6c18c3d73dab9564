/**
 * Who answers in the demo: the vendor that the environment names, else the scripted model.
 */

import type { Teardown } from '../../src/chaos/teardown.js'
import { allSettings } from '../../src/config/schema.js'
import { startScriptedModel } from './scripted-model.js'

/** What makes the service talk to a vendor; one of them is enough. */
const CHOICES = ['OPENAI_API_KEY', 'OPENAI_BASE_URL', 'ANTHROPIC_API_KEY', 'ANTHROPIC_BASE_URL'] as const
/** People see that it is streaming, and do not wait for it. */
const FIRST_TOKEN_MS = 250

export interface ModelSource {
  readonly isScripted: boolean
  /** One line for the user. */
  readonly description: string
  /** Settings for the processes that talk to it. */
  readonly env: Readonly<Record<string, string>>
}

/** `piecesPerSecond` is the pace of the scripted model; a piece has 8 characters. */
export async function openModel(teardown: Teardown, piecesPerSecond: number): Promise<ModelSource> {
  const chosen = CHOICES.find((name) => process.env[name]?.trim())
  if (chosen !== undefined) {
    return {
      isScripted: false,
      description: `${chosen} is set: the session talks to that vendor.`,
      env: vendorSettings(),
    }
  }
  const model = await teardown.open(
    'the scripted model',
    startScriptedModel({ tokensPerSecond: piecesPerSecond, firstTokenMs: FIRST_TOKEN_MS }),
  )
  return {
    isScripted: true,
    description:
      'No OPENAI_API_KEY or ANTHROPIC_API_KEY: a local scripted model answers over the real streaming protocol.',
    env: { OPENAI_BASE_URL: model.openaiUrl, OPENAI_API_KEY: 'none', OPENAI_MODEL: 'scripted' },
  }
}

function vendorSettings(): Record<string, string> {
  const names = allSettings()
    .filter(({ section }) => section === 'openai' || section === 'anthropic')
    .flatMap(({ setting }) => [setting.env, ...setting.aliases])
  return Object.fromEntries(names.flatMap((name) => [[name, process.env[name] ?? '']]).filter(([, value]) => value))
}
