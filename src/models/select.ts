/**
 * Which vendor answers: decided by the settings that are present.
 */
import { ServiceError } from '../protocol/errors.js'
import type { Model } from './model.js'

export interface ModelSettings {
  readonly openaiApiKey?: string | undefined
  readonly openaiModel: string
  readonly openaiOrgId?: string | undefined
  readonly openaiBaseUrl?: string | undefined
  readonly anthropicApiKey?: string | undefined
  readonly anthropicModel: string
  readonly anthropicBaseUrl?: string | undefined
  /** The model that a session names, instead of the one of the settings. */
  readonly wanted?: string | undefined
}

/**
 * OpenAI when its key or base URL is set, else Anthropic when one of its own is; where both are, a model that is named after
 * Claude is Anthropic's. An empty text counts as not set. Only that
 * vendor's SDK is loaded, with the first call: together they are a third of what a worker takes to start.
 * @throws ServiceError `openai_key_missing` when nothing is.
 */
export async function selectModel(settings: ModelSettings): Promise<Model> {
  const { openaiApiKey, openaiBaseUrl, anthropicApiKey, anthropicBaseUrl, wanted } = settings
  const hasAnthropic = Boolean(anthropicApiKey || anthropicBaseUrl)
  if ((openaiApiKey || openaiBaseUrl) && !(hasAnthropic && wanted?.startsWith('claude'))) {
    const { OpenAiModel } = await import('./openai.js')
    return new OpenAiModel({
      model: wanted ?? settings.openaiModel,
      apiKey: openaiApiKey || undefined,
      baseUrl: openaiBaseUrl || undefined,
      orgId: settings.openaiOrgId || undefined,
    })
  }
  if (hasAnthropic) {
    const { AnthropicModel } = await import('./anthropic.js')
    return new AnthropicModel({
      model: wanted ?? settings.anthropicModel,
      apiKey: anthropicApiKey || undefined,
      baseUrl: anthropicBaseUrl || undefined,
    })
  }
  throw new ServiceError('openai_key_missing')
}
