/**
 * The frame around the views: where one can go, who one is, and whether the connection stands.
 */
import type { ComponentType } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import type { Action } from '../src/protocol/permissions.js'
import { useLoaded } from './loaded.js'
import { Announcer, announce } from './parts/announcer.js'
import { ThemeSwitch } from './parts/theme.js'
import { hashOf, type Route, route, VIEWS, type View } from './route.js'
import { useService } from './service.js'
import { useStore } from './store.js'
import { BudgetsView } from './views/budgets.js'
import { CharterView } from './views/charter.js'
import { ClusterView } from './views/cluster.js'
import { MemoryView } from './views/memory.js'
import { SessionsView } from './views/sessions.js'

const TITLES: Readonly<Record<View, string>> = {
  cluster: 'Cluster',
  sessions: 'Sessions',
  budgets: 'Budgets',
  memory: 'Memory',
  charter: 'Charter',
}

const PAGES: Readonly<Record<View, ComponentType<{ route: Route }>>> = {
  cluster: ClusterView,
  sessions: SessionsView,
  budgets: BudgetsView,
  memory: MemoryView,
  charter: CharterView,
}

/** What a view asks of the service: who may not ask that does not see it. */
const NEEDS: Readonly<Record<View, Action>> = {
  cluster: 'read_cluster',
  sessions: 'list_sessions',
  budgets: 'read_usage',
  memory: 'read_memory',
  charter: 'read_charter',
}

export function Shell({ onLeave }: { onLeave: () => void }) {
  const service = useService()
  const views = VIEWS.filter((view) => service.may(NEEDS[view]))
  const at = useStore(route)
  const view = views.includes(at.view) ? at.view : (views[0] ?? 'sessions')
  const Page = PAGES[view]
  const main = useMainFocus(view)
  return (
    <div class="shell">
      {/* biome-ignore lint/a11y/useValidAnchor: it leads to a place, though without a trace in the address */}
      <a class="skip" href="#main" onClick={(event) => focusMain(event, main.current)}>
        Skip to content
      </a>
      <Header onLeave={onLeave} />
      <nav class="nav" aria-label="Views">
        {views.map((each) => (
          <a key={each} href={hashOf(each)} aria-current={each === view ? 'page' : undefined}>
            {TITLES[each]}
          </a>
        ))}
      </nav>
      <main id="main" ref={main} tabIndex={-1} class={`main main-${view}`}>
        <Page route={view === at.view ? at : { view, id: undefined, query: {} }} />
      </main>
      <Announcer />
    </div>
  )
}

/** Another view takes the focus, as another page would; the first one leaves it where the browser has put it. */
function useMainFocus(view: View) {
  const main = useRef<HTMLElement>(null)
  const shown = useRef(view)
  useEffect(() => {
    document.title = `${TITLES[view]} · Orchestrator`
    if (shown.current !== view) main.current?.focus()
    shown.current = view
  }, [view])
  return main
}

/** The address keeps its hash, which says where we are. */
function focusMain(event: Event, main: HTMLElement | null): void {
  event.preventDefault()
  main?.focus()
}

function Header({ onLeave }: { onLeave: () => void }) {
  const service = useService()
  const { who } = service
  const status = useLoaded('status', (signal) => service.api.status(signal), 30_000)
  return (
    <header class="header">
      <span class="product">{status.data?.name ?? 'Orchestrator'}</span>
      {status.data && <span class="quiet">{status.data.version}</span>}
      <LinkState />
      <span class="spacer" />
      <span class="who">
        {who.subject} <span class="quiet">in</span> {who.tenant}
      </span>
      <span class="chip" title={ROLE_SENTENCES[who.role]}>
        {who.role === 'readonly' ? 'read-only' : who.role}
      </span>
      <ThemeSwitch />
      <button type="button" class="plain" onClick={onLeave}>
        Sign out
      </button>
    </header>
  )
}

const ROLE_SENTENCES = {
  admin: 'You may do everything in this tenant',
  user: 'You see and use your own sessions',
  readonly: 'You see everything in this tenant and change nothing',
} as const

function LinkState() {
  const { link } = useService()
  const state = useStore(link)
  const shown = useRef(state)
  useEffect(() => {
    if (shown.current !== state) announce(state === 'lost' ? 'Connection lost, reconnecting' : 'Connected again')
    shown.current = state
  }, [state])
  return (
    <span class={`link link-${state}`} data-test="link">
      {state === 'lost' ? 'Reconnecting …' : 'Live'}
    </span>
  )
}
