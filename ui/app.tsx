/**
 * Who is in: nobody yet, somebody whose credential is being tried, or somebody whose views are shown.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { ApiError } from './api.js'
import { keepCredential, keptCredential } from './credential.js'
import { Login } from './login.js'
import { reasonOf, Service, ServiceProvider } from './service.js'
import { Shell } from './shell.js'

type State =
  | { readonly kind: 'opening' }
  | { readonly kind: 'out'; readonly reason?: string | undefined; readonly busy?: boolean }
  | { readonly kind: 'in'; readonly service: Service }

export function App() {
  const [state, setState] = useState<State>({ kind: 'opening' })
  const open = useRef<Service | undefined>(undefined)

  const leave = useCallback((reason?: string) => {
    open.current?.close()
    open.current = undefined
    keepCredential(undefined)
    setState({ kind: 'out', reason })
  }, [])

  const enter = useCallback(async (credential: string | undefined, silent = false) => {
    try {
      const service = await Service.open(credential, (error) => {
        if (open.current) leave(`You were signed out. ${reasonOf(error)}`)
      })
      keepCredential(credential)
      open.current = service
      setState({ kind: 'in', service })
    } catch (error) {
      const refused = error instanceof ApiError && error.status === 401
      if (refused) keepCredential(undefined)
      // Nobody has tried anything yet: there is nothing to blame.
      setState({ kind: 'out', reason: refused && silent ? undefined : reasonOf(error) })
    }
  }, [])

  useEffect(() => {
    const kept = keptCredential()
    // Without one it is tried all the same: a daemon on this machine may ask for none.
    void enter(kept, kept === undefined)
    return () => open.current?.close()
  }, [])

  if (state.kind === 'in') {
    return (
      <ServiceProvider value={state.service}>
        <Shell onLeave={() => leave()} />
      </ServiceProvider>
    )
  }
  if (state.kind === 'opening') return <p class="opening">Opening …</p>
  const login = (credential: string): void => {
    setState({ kind: 'out', busy: true })
    void enter(credential)
  }
  return <Login reason={state.reason} busy={state.busy === true} onLogin={login} />
}
