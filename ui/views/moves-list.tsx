/**
 * What has moved in the cluster, newest first. Not a live region itself: the announcer says it, at its pace.
 */
import { exact, moment } from '../format.js'
import { type Move, ranges, sentence } from '../model/moves.js'
import { ScrollBox } from '../parts/scroll-box.js'
import { Empty } from '../parts/states.js'

export function MovesList({ moves }: { moves: readonly Move[] }) {
  return (
    <section class="moves" aria-labelledby="moves-title">
      <h2 id="moves-title">Moves</h2>
      {moves.length === 0 ? (
        <Empty title="Nothing has moved yet">Shards move when workers come, go or grow hot.</Empty>
      ) : (
        <ScrollBox class="moves-list" label="Moves, newest first">
          <ol>
            {moves.map((move) => (
              <li key={move.id} class={`move move-${move.kind}`}>
                <time dateTime={new Date(move.at).toISOString()} title={exact(move.at)} class="quiet">
                  {moment(move.at)}
                </time>
                <span>
                  {sentence(move)}
                  {move.shards.length > 1 && <span class="quiet move-which"> {ranges(move.shards)}</span>}
                </span>
              </li>
            ))}
          </ol>
        </ScrollBox>
      )}
    </section>
  )
}
