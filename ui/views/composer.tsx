/**
 * Another task for a session that is open.
 */
import { useState } from 'preact/hooks'
import { ClientError } from '../../src/client/client.js'
import { isTerminal } from '../../src/protocol/session-words.js'
import { reasonOf, useService } from '../service.js'
import type { DrawnLog } from '../session-log.js'

export function Composer({ log: { handle, story, state } }: { log: DrawnLog }) {
  const service = useService()
  const [text, setText] = useState('')
  const [error, setError] = useState<unknown>()
  const isOver = state !== 'live' || (story.status !== undefined && isTerminal(story.status))
  if (!handle || isOver || !service.may('execute_task')) return null
  const submit = (event: Event): void => {
    event.preventDefault()
    const task = text.trim()
    if (task === '') return
    setText('')
    setError(undefined)
    // Resolves with the end of the task, which the transcript shows; what is of interest here is a refusal.
    handle.execute(task).catch((reason: unknown) => {
      if (reason instanceof ClientError && (reason.code === 'closed' || reason.code === 'session_ended')) return
      setText(task)
      setError(reason)
    })
  }
  return (
    <form class="composer" onSubmit={submit}>
      <label class="unseen" for="composer-task">
        Another task for this session
      </label>
      <textarea
        id="composer-task"
        rows={1}
        placeholder="Another task for this session"
        value={text}
        onInput={({ currentTarget }) => setText(currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) submit(event)
        }}
      />
      <button type="submit" class="primary" disabled={text.trim() === ''}>
        Send
      </button>
      {error !== undefined && (
        <p role="alert" class="refusal">
          {reasonOf(error)}
        </p>
      )}
    </form>
  )
}
