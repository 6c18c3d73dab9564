/**
 * What is remembered, newest first, or what of it fits a question best; and where it comes from.
 */
import { useEffect, useState } from 'preact/hooks'
import { seesTenant } from '../../src/protocol/permissions.js'
import { exact, json, moment } from '../format.js'
import { useLoaded } from '../loaded.js'
import type { Memory } from '../model/shapes.js'
import { SearchField } from '../parts/search-field.js'
import { Empty, Failure, Loading, Stale } from '../parts/states.js'
import { go, hashOf, type Route } from '../route.js'
import { useService } from '../service.js'

const TIERS = ['semantic', 'episodic', 'scratchpad'] as const
const SHOWN = 50

export function MemoryView({ route }: { route: Route }) {
  const { api, who } = useService()
  const { q = '', tier = '', owner = '' } = route.query
  const key = `${q}|${tier}|${owner}`
  const first = useLoaded(key, (signal) => api.memories({ q, tier, owner, limit: SHOWN }, signal))
  const show = (query: Record<string, string>): void =>
    go(hashOf('memory', undefined, { q, tier, owner, ...query }), true)
  return (
    <div class="page">
      <h1>Memory</h1>
      <div class="tools">
        <SearchField label="Search memories" value={q} onChange={(text) => show({ q: text })} />
        <label>
          <span class="unseen">Tier</span>
          <select value={tier} onChange={({ currentTarget }) => show({ tier: currentTarget.value })}>
            <option value="">All tiers</option>
            {TIERS.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
        {seesTenant(who.role) && (
          <label class="inline">
            Of
            <input
              value={owner}
              placeholder={who.subject}
              maxLength={256}
              onChange={({ currentTarget }) => show({ owner: currentTarget.value.trim() })}
            />
          </label>
        )}
      </div>
      <Stale error={first.data && first.error} />
      {!first.data && first.error && <Failure what="Memories" error={first.error} retry={first.reload} />}
      {!first.data && !first.error && <Loading what="memories" />}
      {first.data && <Memories key={key} first={first.data} query={{ q, tier, owner }} />}
    </div>
  )
}

interface MemoriesProps {
  readonly first: { readonly rows: readonly Memory[]; readonly cursor: string | undefined }
  readonly query: { readonly q: string; readonly tier: string; readonly owner: string }
}

function Memories({ first, query }: MemoriesProps) {
  const { api } = useService()
  const [{ rows, cursor }, setPage] = useState(first)
  const [error, setError] = useState<Error>()
  useEffect(() => setPage(first), [first])
  const more = (): void => {
    api.memories({ ...query, limit: SHOWN, cursor }).then((page) => {
      setError(undefined)
      setPage({ rows: [...rows, ...page.rows], cursor: page.cursor })
    }, setError)
  }
  if (rows.length === 0) {
    const searched = query.q !== '' || query.tier !== ''
    return searched ? (
      <Empty title="Nothing that is remembered fits">Try fewer words, or all tiers.</Empty>
    ) : (
      <Empty title="Nothing is remembered yet">
        Sessions of type llm, claude-code and claude-flow remember as they work.
      </Empty>
    )
  }
  return (
    <>
      <ul class="memories" aria-label="Memories">
        {rows.map((memory) => (
          <MemoryRow key={memory.id} memory={memory} />
        ))}
      </ul>
      {error && <Failure what="The next page" error={error} retry={more} />}
      {cursor !== undefined && !error && (
        <button type="button" onClick={more}>
          Show more
        </button>
      )}
    </>
  )
}

function MemoryRow({ memory }: { memory: Memory }) {
  const { tier, kind, key, content, tags, validFrom, validTo, sessionId, score, metadata, namespace } = memory
  return (
    <li class="memory">
      <p class="memory-head">
        <span class="chip">{tier}</span>
        <span class="quiet">{kind}</span>
        {key && <strong>{key}</strong>}
        {tags?.map((tag) => (
          <span key={tag} class="chip">
            {tag}
          </span>
        ))}
        <span class="spacer" />
        {score !== undefined && <span class="quiet figure">fits {score.toFixed(2)}</span>}
        <time dateTime={validFrom} title={exact(validFrom)} class="quiet">
          {moment(validFrom)}
        </time>
      </p>
      <p class="memory-text">{content}</p>
      <p class="memory-foot quiet">
        {validTo && <span>until {moment(validTo)}</span>}
        {namespace && <span>in {namespace}</span>}
        {sessionId && <a href={hashOf('sessions', sessionId)}>from a session</a>}
        {metadata && Object.keys(metadata).length > 0 && (
          <details>
            <summary>Details</summary>
            <pre>{json(metadata)}</pre>
          </details>
        )}
      </p>
    </li>
  )
}
