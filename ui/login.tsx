/**
 * The door of the dashboard: a token or an API key.
 */
import { useEffect, useRef, useState } from 'preact/hooks'

interface Props {
  readonly reason: string | undefined
  readonly busy: boolean
  readonly onLogin: (credential: string) => void
}

export function Login({ reason, busy, onLogin }: Props) {
  const [credential, setCredential] = useState('')
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (!busy) field.current?.focus()
  }, [busy])
  const submit = (event: Event): void => {
    event.preventDefault()
    const given = credential.trim()
    if (given !== '' && !busy) onLogin(given)
  }
  return (
    <main class="login">
      <form onSubmit={submit} aria-labelledby="login-title">
        <h1 id="login-title">Orchestrator</h1>
        <label for="credential">Token or API key</label>
        <input
          ref={field}
          id="credential"
          type="password"
          autocomplete="off"
          spellcheck={false}
          value={credential}
          aria-describedby="login-help"
          aria-invalid={reason !== undefined}
          onInput={({ currentTarget }) => setCredential(currentTarget.value)}
        />
        <div role="alert" class="login-reason">
          {reason}
        </div>
        <button type="submit" class="primary" disabled={busy}>
          {busy ? 'Signing in …' : 'Sign in'}
        </button>
        <p id="login-help" class="quiet">
          Kept in this tab only, and forgotten with it. <code>orchestrator-daemon token</code> makes a token.
        </p>
      </form>
    </main>
  )
}
