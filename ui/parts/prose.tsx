/**
 * Text of people and models: as it stands, with code in its own face. Nothing of it is ever taken for HTML.
 */

/** What is longer is shown to here, unless somebody asks for the rest. */
const MAX_CHARS = 40_000

export function Prose({ text }: { text: string }) {
  const shown = text.slice(0, MAX_CHARS)
  // Every other part stands between fences; one that is not closed yet is being written.
  return (
    <div class="prose">
      {shown.split(/^```.*\n?/m).map((part, index) => {
        if (part === '') return null
        // The index is the identity of a part: only the last one grows.
        return index % 2 === 1 ? <pre key={index}>{part.replace(/\n$/, '')}</pre> : <p key={index}>{inline(part)}</p>
      })}
      {text.length > MAX_CHARS && <p class="quiet">{(text.length - MAX_CHARS).toLocaleString('en')} more characters</p>}
    </div>
  )
}

const inline = (text: string) =>
  text
    .trim()
    .split(/`([^`\n]+)`/)
    .map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))
