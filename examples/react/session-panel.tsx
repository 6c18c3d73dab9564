/**
 * Components that show sessions, and give them tasks.
 */
import type { Client } from '@wundr.io/orchestrator-daemon/client'
import { useState } from 'react'
import { type ClientState, useClient, useSession } from './use-session.js'

export interface SessionPanelsProps {
  readonly url: string
  readonly sessionIds: readonly string[]
}

export function SessionPanels({ url, sessionIds }: SessionPanelsProps) {
  const { client, state } = useClient(url)
  // Places, not sessions: the same session may be shown twice.
  const places = [...sessionIds.entries()]
  return (
    <main>
      {places.map(([place, sessionId]) => (
        <SessionPanel key={place} client={client} link={state} sessionId={sessionId} />
      ))}
    </main>
  )
}

interface SessionPanelProps {
  readonly client: Client | undefined
  readonly link: ClientState['state']
  readonly sessionId: string
}

function SessionPanel({ client, link, sessionId }: SessionPanelProps) {
  const session = useSession(client, sessionId)
  const [task, setTask] = useState('')
  const send = async (): Promise<void> => {
    setTask('')
    const handle = await client?.attach(sessionId)
    await handle?.execute(task)
  }
  return (
    <section aria-label={sessionId}>
      <p role="status">{session?.error?.message ?? (session?.isBusy ? 'working' : link)}</p>
      <pre>{session?.text}</pre>
      <input aria-label="Task" value={task} onChange={(event) => setTask(event.currentTarget.value)} />
      <button type="button" disabled={!client || session?.hasEnded} onClick={() => void send()}>
        Give task
      </button>
    </section>
  )
}
