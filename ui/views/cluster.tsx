/**
 * The cluster at work: its nodes, whose the shards are, how much there is to do, and what moves.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { duration, number, percent } from '../format.js'
import { useLoaded } from '../loaded.js'
import { MAX_MOVES, type Move, movesBetween, pastMoves, sentence, shortName } from '../model/moves.js'
import type { ClusterNode, ClusterPicture } from '../model/shapes.js'
import { announce } from '../parts/announcer.js'
import { Bar, Tag } from '../parts/marks.js'
import { Ring } from '../parts/ring.js'
import { ScrollBox } from '../parts/scroll-box.js'
import { Empty, Failure, Loading, Stale } from '../parts/states.js'
import { useService } from '../service.js'
import { MovesList } from './moves-list.js'

/** Two questions each time, of the hundred that a client has in a minute unless the settings say otherwise. */
const EVERY_MS = 3_000
/** How long what has moved stands out. */
const FRESH_MS = 6_000
const COLOURS = 8

export function ClusterView() {
  const { api } = useService()
  const { data, error, reload } = useLoaded('cluster', (signal) => api.cluster(signal), EVERY_MS)
  const moves = useMoves(data)
  if (!data && error) return <Failure what="The cluster" error={error} retry={reload} />
  if (!data) return <Loading what="the cluster" lines={10} />
  return (
    <div class="page cluster">
      <h1>Cluster</h1>
      <Stale error={error} />
      <Figures picture={data} />
      <Picture picture={data} moves={moves} />
    </div>
  )
}

function Picture({ picture, moves }: { picture: ClusterPicture; moves: readonly Move[] }) {
  const [chosen, setChosen] = useState<string>()
  const colourOf = useColours(picture)
  const fresh = moves.filter(({ at, kind }) => kind === 'shards' && Date.now() - at < FRESH_MS)
  const moved = new Set(fresh.flatMap(({ shards }) => shards))
  const workers = picture.nodes.filter(isWorker)
  return (
    <div class="cluster-map">
      <Ring shards={picture.shards} colourOf={colourOf} chosen={chosen} moved={moved} workers={workers.length} />
      <section class="cluster-nodes" aria-labelledby="nodes-title">
        <h2 id="nodes-title">Nodes</h2>
        {picture.nodes.length === 0 ? (
          <Empty title="No node gives signs of life" />
        ) : (
          <Nodes picture={picture} colourOf={colourOf} chosen={chosen} onChoose={setChosen} />
        )}
      </section>
      <MovesList moves={moves} />
    </div>
  )
}

function Figures({ picture: { nodes, shards, leader } }: { picture: ClusterPicture }) {
  const moving = shards.filter(({ state }) => state === 'releasing').length
  const free = shards.filter(({ owner, state }) => owner === null || state === 'released').length
  const workers = nodes.filter(isWorker)
  const sum = (of: (node: ClusterNode) => number): number => workers.reduce((total, node) => total + of(node), 0)
  const facts: readonly (readonly [name: string, value: string, tone?: string | undefined])[] = [
    ['Nodes', number(nodes.length)],
    ['Slots in use', `${number(sum(({ load }) => load.busy))} of ${number(sum(({ load }) => load.capacity))}`],
    ['Commands waiting', number(sum(({ load }) => load.queued))],
    ['Shards on the move', number(moving)],
    ['Without an owner', number(free), free > 0 ? 'bad' : undefined],
    ['Leader', leader === null ? 'nobody' : shortName(leader), leader === null && nodes.length > 1 ? 'bad' : undefined],
  ]
  return (
    <dl class="figures">
      {facts.map(([name, value, tone]) => (
        <div key={name} class={tone && `figure-${tone}`}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

interface NodesProps {
  readonly picture: ClusterPicture
  readonly colourOf: (owner: string) => number
  readonly chosen: string | undefined
  readonly onChoose: (id: string | undefined) => void
}

function Nodes({ picture, colourOf, chosen, onChoose }: NodesProps) {
  return (
    <ScrollBox class="table-box" label="Nodes of the cluster">
      <table>
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">Role</th>
            <th scope="col">Status</th>
            <th scope="col">Load</th>
            <th scope="col" class="figure">
              Waiting
            </th>
            <th scope="col" class="figure">
              Shards
            </th>
            <th scope="col" class="figure">
              Lag
            </th>
            <th scope="col">Version</th>
          </tr>
        </thead>
        <tbody>
          {picture.nodes.map((node) => (
            <tr key={node.id}>
              <th scope="row">
                {isWorker(node) ? (
                  <button
                    type="button"
                    class="node-name"
                    aria-pressed={chosen === node.id}
                    title={`Show the shards of ${node.id}`}
                    onClick={() => onChoose(chosen === node.id ? undefined : node.id)}
                  >
                    <span class={`swatch owner-${colourOf(node.id)}`} aria-hidden="true" />
                    {shortName(node.id)}
                  </button>
                ) : (
                  <span class="node-name" title={node.id}>
                    {shortName(node.id)}
                  </span>
                )}
              </th>
              <td>
                {node.role}
                {picture.leader === node.id && <span class="quiet"> · leads</span>}
              </td>
              <td>
                <Tag state={node.status} />
              </td>
              <td>
                <Load node={node} />
              </td>
              <td class="figure">{isWorker(node) ? number(node.load.queued) : '–'}</td>
              <td class="figure" title={`its share is ${percent(node.share * 100)}`}>
                {isWorker(node) ? number(node.shards) : '–'}
              </td>
              <td class="figure">{duration(node.lagMs)}</td>
              <td class="quiet">{node.version}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollBox>
  )
}

function Load({ node: { role, load } }: { node: ClusterNode }) {
  if (load.capacity === 0) return <span class="quiet">{role === 'coordinator' ? '–' : number(load.busy)}</span>
  const words = role === 'edge' ? `${number(load.busy)} connections` : `${load.busy} of ${load.capacity} slots`
  return (
    <span class="load">
      <Bar value={load.busy} max={load.capacity} label={words} />
      <span class="figure">{role === 'edge' ? number(load.busy) : `${load.busy}/${load.capacity}`}</span>
    </span>
  )
}

const isWorker = ({ role }: ClusterNode): boolean => role === 'worker' || role === 'all'

/** Everything that has moved since this view was opened, newest first. */
function useMoves(picture: ClusterPicture | undefined): readonly Move[] {
  const { api } = useService()
  const before = useRef<ClusterPicture | undefined>(undefined)
  const [moves, setMoves] = useState<readonly Move[]>([])
  useEffect(() => {
    const control = new AbortController()
    // What was before is an extra: without it the list begins empty.
    api.moves(control.signal).then(
      (past) => setMoves((since) => [...since, ...pastMoves(past)]),
      () => undefined,
    )
    return () => control.abort()
  }, [api])
  useEffect(() => {
    const former = before.current
    before.current = picture
    if (!former || !picture) return
    const found = movesBetween(former, picture)
    if (found.length === 0) return
    for (const move of found) announce(sentence(move))
    setMoves((since) => [...[...found].reverse(), ...since].slice(0, MAX_MOVES))
  }, [picture])
  return moves
}

/** The colour of an owner stays the same as long as the view is open, whoever comes or goes. */
function useColours(picture: ClusterPicture): (owner: string) => number {
  const colours = useRef(new Map<string, number>())
  for (const { id } of picture.nodes.filter(isWorker)) {
    if (!colours.current.has(id)) colours.current.set(id, colours.current.size % COLOURS)
  }
  return (owner) => colours.current.get(owner) ?? COLOURS
}
