/**
 * What one may do to a session now. A button that would be refused is not there.
 */
import { useState } from 'preact/hooks'
import type { SessionHandle } from '../../src/client/client.js'
import type { ClientMessageType } from '../../src/protocol/commands.js'
import { isTerminal } from '../../src/protocol/session-words.js'
import { announce } from '../parts/announcer.js'
import { reasonOf, useService } from '../service.js'
import type { DrawnLog } from '../session-log.js'

interface Action {
  readonly name: string
  readonly type: ClientMessageType
  readonly fits: (log: DrawnLog) => boolean
  readonly run: (handle: SessionHandle) => Promise<void>
  /** Asked before it is done: it cannot be undone. */
  readonly asks?: string
}

const ACTIONS: readonly Action[] = [
  {
    name: 'Cancel task',
    type: 'cancel_task',
    fits: ({ story }) => story.running !== undefined,
    run: (handle) => handle.cancel(),
  },
  { name: 'Pause', type: 'pause_session', fits: ({ story }) => story.status === 'active', run: (it) => it.pause() },
  { name: 'Resume', type: 'resume_session', fits: ({ story }) => story.status === 'paused', run: (it) => it.resume() },
  {
    name: 'Stop session',
    type: 'stop_session',
    fits: () => true,
    run: (handle) => handle.stop(),
    asks: 'Stop for good?',
  },
]

/** Once, when it appears: a function of each drawing would take the focus with each. */
const focus = (button: HTMLButtonElement | null): void => button?.focus()

export function SessionActions({ log }: { log: DrawnLog }) {
  const service = useService()
  const [busy, setBusy] = useState<string>()
  const [asked, setAsked] = useState<string>()
  const [error, setError] = useState<unknown>()
  const { handle, story } = log
  if (!handle || log.state !== 'live' || (story.status && isTerminal(story.status))) return null
  const shown = ACTIONS.filter(({ type, fits }) => service.may(type) && fits(log))
  const run = ({ name, run: act }: Action): void => {
    setBusy(name)
    setAsked(undefined)
    setError(undefined)
    act(handle)
      .then(() => announce(`${name}: accepted`), setError)
      .finally(() => setBusy(undefined))
  }
  return (
    <fieldset class="session-actions" aria-label="Actions on this session">
      {shown.map((action) =>
        asked === action.name ? (
          <span key={action.name} class="confirm">
            {action.asks}{' '}
            <button type="button" class="danger" ref={focus} onClick={() => run(action)}>
              Stop it
            </button>{' '}
            <button type="button" onClick={() => setAsked(undefined)}>
              Keep it
            </button>
          </span>
        ) : (
          <button
            key={action.name}
            type="button"
            disabled={busy !== undefined}
            onClick={() => (action.asks ? setAsked(action.name) : run(action))}
          >
            {busy === action.name ? `${action.name} …` : action.name}
          </button>
        ),
      )}
      {error !== undefined && (
        <p role="alert" class="refusal">
          {reasonOf(error)}
        </p>
      )}
    </fieldset>
  )
}
