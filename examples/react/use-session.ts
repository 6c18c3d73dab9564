/**
 * Hooks for the client: `useClient` connects while a component is there, `useSession` shows a session as it is now.
 *
 *   const { client, state } = useClient('wss://agents.example.com')
 *   const session = useSession(client, sessionId)
 */
import { type Client, type ClientError, connect } from '@wundr.io/orchestrator-daemon/client'
import { useEffect, useState, useSyncExternalStore } from 'react'
import { SessionStore, type SessionView } from './session-store.js'

export interface ClientState {
  readonly client: Client | undefined
  readonly state: 'connecting' | 'connected' | 'lost' | 'failed'
  readonly error?: ClientError
}

export function useClient(url: string, token?: string): ClientState {
  const [state, setState] = useState<ClientState>({ client: undefined, state: 'connecting' })
  useEffect(() => {
    let isGone = false
    const onConnection = (now: 'lost' | 'restored'): void => {
      if (!isGone) setState((before) => ({ ...before, state: now === 'lost' ? 'lost' : 'connected' }))
    }
    setState({ client: undefined, state: 'connecting' })
    const connecting = connect({ url, onConnection, ...(token !== undefined && { token }) })
    connecting.then(
      (client) => {
        if (!isGone) setState({ client, state: 'connected' })
      },
      (error: ClientError) => {
        if (!isGone) setState({ client: undefined, state: 'failed', error })
      },
    )
    return () => {
      isGone = true
      connecting.then((client) => client.close()).catch(() => undefined)
    }
  }, [url, token])
  return state
}

/** Undefined until the client is connected. All components that show the same session share one subscription. */
export function useSession(client: Client | undefined, sessionId: string): SessionView | undefined {
  const store = client && storeOf(client, sessionId)
  return useSyncExternalStore(store?.subscribe ?? noSubscription, store?.view ?? noView)
}

/** Gone with their client. */
const stores = new WeakMap<Client, Map<string, SessionStore>>()

function storeOf(client: Client, sessionId: string): SessionStore {
  const own = stores.get(client) ?? new Map<string, SessionStore>()
  stores.set(client, own)
  const store = own.get(sessionId) ?? new SessionStore(client, sessionId)
  own.set(sessionId, store)
  return store
}

const noSubscription = () => () => undefined
const noView = (): SessionView | undefined => undefined
