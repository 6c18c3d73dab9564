/**
 * Small marks: a state as a word with a shape, and a share as a bar. Never by colour alone.
 */

export type Tone = 'plain' | 'good' | 'warn' | 'bad' | 'live'

const TONES: Readonly<Record<string, Tone>> = {
  ...{ active: 'live', live: 'live', running: 'live', in_progress: 'live', initializing: 'plain', paused: 'warn' },
  ...{ completed: 'good', healthy: 'good', terminated: 'plain', cancelled: 'plain', failed: 'bad', silent: 'bad' },
  ...{ draining: 'warn', warning: 'warn', critical: 'bad', exceeded: 'bad', dead: 'bad', asking: 'warn' },
}

export const toneOf = (state: string): Tone => TONES[state] ?? 'plain'

export function Tag({ state, tone = toneOf(state) }: { state: string; tone?: Tone }) {
  return <span class={`tag tag-${tone}`}>{state.replaceAll('_', ' ')}</span>
}

/** `label` is read out in place of the drawing. */
export function Bar({ value, max, label, tone }: { value: number; max: number; label: string; tone?: Tone }) {
  const share = max > 0 ? Math.min(1, value / max) : 0
  return (
    <svg
      class={`bar bar-${tone ?? 'plain'}`}
      viewBox="0 0 100 6"
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <rect class="bar-ground" width="100" height="6" />
      <rect class="bar-value" width={share * 100} height="6" />
    </svg>
  )
}
