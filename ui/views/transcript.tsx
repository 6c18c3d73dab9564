/**
 * What was said and done in a session, in order. It follows its end as long as the end is what one looks at.
 */
import { memo } from 'preact/compat'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { exact, time } from '../format.js'
import type { Item, MessageItem, NoteItem, Story, TaskItem } from '../model/story.js'
import { Prose } from '../parts/prose.js'
import { ScrollBox } from '../parts/scroll-box.js'
import { Empty } from '../parts/states.js'
import type { DrawnLog } from '../session-log.js'
import { ToolCall } from './tool-call.js'

interface Props {
  readonly story: Story
  readonly log: DrawnLog
  readonly replayed: boolean
}

/** This near to the end is the end. */
const NEAR_END_PX = 48

export function Transcript({ story, log, replayed }: Props) {
  const box = useRef<HTMLElement>(null)
  const follows = useRef(true)
  useLayoutEffect(() => {
    const element = box.current
    if (element && (follows.current || replayed)) element.scrollTop = element.scrollHeight
  }, [replayed ? story : log.version])
  return (
    <ScrollBox
      box={box}
      class="transcript"
      label="Transcript"
      busy={story.running !== undefined && !replayed}
      onScroll={({ scrollTop, scrollHeight, clientHeight }) => {
        follows.current = scrollTop + clientHeight > scrollHeight - NEAR_END_PX
      }}
    >
      {story.items.length === 0 && <Empty title={replayed ? 'Nothing was said yet' : 'Waiting for a worker'} />}
      <ol>
        {story.items.map((item) => (
          <Entry key={item.key} item={item} handle={replayed ? undefined : log.handle} />
        ))}
      </ol>
    </ScrollBox>
  )
}

const Entry = memo(({ item, handle }: { item: Item; handle: DrawnLog['handle'] }) => (
  <li class={`entry entry-${item.kind}`}>
    <time class="entry-time figure" dateTime={new Date(item.at).toISOString()} title={exact(item.at)}>
      {time(item.at)}
    </time>
    <div class="entry-body">
      {item.agent && <p class="entry-agent">{item.agent}</p>}
      {item.kind === 'task' && <Task item={item} />}
      {item.kind === 'message' && <Message item={item} />}
      {item.kind === 'tool' && <ToolCall item={item} handle={handle} />}
      {item.kind === 'note' && <Note item={item} />}
    </div>
  </li>
))

function Task({ item }: { item: TaskItem }) {
  return (
    <section class="task" aria-label="Task">
      <Prose text={item.description} />
    </section>
  )
}

function Message({ item: { text, tokens, model } }: { item: MessageItem }) {
  const isDone = tokens !== undefined
  // Some messages only call tools.
  if (isDone && text === '') return <p class="quiet entry-silent">{model} said nothing</p>
  return (
    <section class={isDone ? 'message' : 'message is-streaming'} aria-label={`Message of ${model}`} title={model}>
      <Prose text={text} />
    </section>
  )
}

function Note({ item: { tone, title, text } }: { item: NoteItem }) {
  const isLong = text !== undefined && text.length > 160
  return (
    <div class={`note note-${tone}`}>
      <strong>{title}</strong>
      {text && !isLong && <span> {text}</span>}
      {text && isLong && (
        <details>
          <summary>{text.slice(0, 120)} …</summary>
          <Prose text={text} />
        </details>
      )}
    </div>
  )
}
