/**
 * A new session: what it is to do, and as which type.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { SESSION_TYPES, type SessionType } from '../../src/protocol/session-words.js'
import { reasonOf, useService } from '../service.js'

interface Props {
  readonly onClose: () => void
  readonly onSpawned: (id: string) => void
}

/** What the service accepts. */
const MAX_TASK_CHARS = 200_000

export function NewSession({ onClose, onSpawned }: Props) {
  const { client } = useService()
  const dialog = useRef<HTMLDialogElement>(null)
  const [task, setTask] = useState('')
  const [type, setType] = useState<SessionType>('llm')
  const [orchestratorId, setOrchestrator] = useState('default')
  const [state, setState] = useState<{ busy: boolean; error?: unknown }>({ busy: false })

  useEffect(() => dialog.current?.showModal(), [])
  const submit = (event: Event): void => {
    event.preventDefault()
    if (task.trim() === '' || state.busy) return
    setState({ busy: true })
    client.spawn({ task, sessionType: type, orchestratorId: orchestratorId.trim() || 'default' }).then(
      (session) => {
        // Closed by its own means, so that the focus goes back to where it was.
        dialog.current?.close()
        onSpawned(session.id)
      },
      (error: unknown) => setState({ busy: false, error }),
    )
  }
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="spawn-title" onClose={onClose}>
      <form onSubmit={submit}>
        <h2 id="spawn-title">New session</h2>
        <label for="spawn-task">Task</label>
        <textarea
          id="spawn-task"
          rows={6}
          required
          maxLength={MAX_TASK_CHARS}
          value={task}
          onInput={({ currentTarget }) => setTask(currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit(event)
          }}
        />
        <div class="dialog-row">
          <label>
            Type
            <select value={type} onChange={({ currentTarget }) => setType(currentTarget.value as SessionType)}>
              {SESSION_TYPES.map((each) => (
                <option key={each} value={each}>
                  {each}
                </option>
              ))}
            </select>
          </label>
          <label>
            Orchestrator
            <input
              value={orchestratorId}
              maxLength={128}
              onInput={({ currentTarget }) => setOrchestrator(currentTarget.value)}
            />
          </label>
        </div>
        <div role="alert" class="login-reason">
          {state.error !== undefined && reasonOf(state.error)}
        </div>
        <div class="dialog-buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            Close
          </button>
          <button type="submit" class="primary" disabled={state.busy}>
            {state.busy ? 'Starting …' : 'Start session'}
          </button>
        </div>
      </form>
    </dialog>
  )
}
