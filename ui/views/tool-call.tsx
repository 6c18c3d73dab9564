/**
 * A tool call: what was asked of it, what came back, and where the charter wants it, the person's answer.
 */
import { useState } from 'preact/hooks'
import type { SessionHandle } from '../../src/client/client.js'
import { duration, json, time } from '../format.js'
import type { ToolItem } from '../model/story.js'
import { Tag, type Tone } from '../parts/marks.js'
import { ScrollBox } from '../parts/scroll-box.js'
import { reasonOf, useService } from '../service.js'

const MAX_CHARS = 20_000
const TONES: Readonly<Record<ToolItem['state'], Tone>> = {
  asking: 'warn',
  running: 'live',
  completed: 'good',
  failed: 'bad',
}

export function ToolCall({ item, handle }: { item: ToolItem; handle: SessionHandle | undefined }) {
  const { name, input, state, output, approval, at, endedAt } = item
  return (
    <section class={`tool tool-${state}`} aria-label={`Tool call ${name}`}>
      <details open={state === 'asking'}>
        <summary>
          <code class="tool-name">{name}</code>
          <span class="tool-gist">{gist(input)}</span>
          {endedAt !== undefined && <span class="quiet figure">{duration(endedAt - at)}</span>}
          <Tag state={state === 'asking' ? 'asks' : state} tone={TONES[state]} />
        </summary>
        <Value title="Input" value={input} />
        {output !== undefined && <Value title={state === 'failed' ? 'Error' : 'Result'} value={output} />}
      </details>
      {approval && state === 'asking' && <Question item={item} handle={handle} />}
      {approval?.outcome && (
        <p class="quiet tool-answer">
          {approval.outcome}
          {approval.by && ` by ${approval.by}`}
          {approval.comment && `: ${approval.comment}`}
        </p>
      )}
    </section>
  )
}

function Value({ title, value }: { title: string; value: unknown }) {
  const text = json(value)
  return (
    <>
      <p class="value-title">{title}</p>
      <ScrollBox class="value" label={title}>
        <pre>
          {text.slice(0, MAX_CHARS)}
          {text.length > MAX_CHARS && `\n… ${(text.length - MAX_CHARS).toLocaleString('en')} more characters`}
        </pre>
      </ScrollBox>
    </>
  )
}

/** The one value that tells this call from others of its kind. */
function gist(input: object): string {
  const values = Object.values(input).filter((value) => typeof value === 'string' || typeof value === 'number')
  return String(values[0] ?? '').slice(0, 160)
}

function Question({ item: { approval, name }, handle }: { item: ToolItem; handle: SessionHandle | undefined }) {
  const service = useService()
  const [comment, setComment] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  if (!approval) return null
  const mayAnswer = approval.level === 'confirm' || service.who.role === 'admin'
  const canAnswer = handle !== undefined && !handle.ended && service.may('approval_decision') && mayAnswer
  const decide = (decision: 'approve' | 'reject'): void => {
    setBusy(true)
    setError(undefined)
    handle?.decide(approval.approvalId, decision, comment.trim() || undefined).catch((reason: unknown) => {
      setBusy(false)
      setError(reason)
    })
  }
  return (
    <fieldset class="question" aria-label={`Approval of ${name}`}>
      <p>{approval.reason}</p>
      <p class="quiet">
        {approval.level === 'escalate' ? 'An administrator decides' : 'Refused'} unless answered by{' '}
        {time(Date.parse(approval.expiresAt))}
      </p>
      {canAnswer && (
        <div class="question-answer">
          <button type="button" class="primary" disabled={busy} onClick={() => decide('approve')}>
            Approve
          </button>
          <button type="button" disabled={busy} onClick={() => decide('reject')}>
            Reject
          </button>
          <input
            aria-label="Comment"
            placeholder="Comment, which the model reads"
            maxLength={1_000}
            value={comment}
            onInput={({ currentTarget }) => setComment(currentTarget.value)}
          />
        </div>
      )}
      {error !== undefined && (
        <p role="alert" class="refusal">
          {reasonOf(error)}
        </p>
      )}
    </fieldset>
  )
}
