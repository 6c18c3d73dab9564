/**
 * Reads as much of a PromQL expression as says which series it needs: names of metrics, matchers and labels to group by.
 */

export interface Matcher {
  readonly label: string
  readonly operator: '=' | '!=' | '=~' | '!~'
  readonly value: string
}

export interface SeriesSelector {
  readonly metric: string
  readonly matchers: readonly Matcher[]
}

const STRING = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g
/** Words that are no metric although nothing is called by them. */
const KEYWORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan'])
const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g

/** Labels that an expression groups or joins by. */
export const groupingLabels = (expression: string): string[] =>
  [...withoutStrings(expression).matchAll(GROUPING)].flatMap(([, list = '']) => list.split(',').map((it) => it.trim()))

/** Every selector of an expression; one without a name is left out. */
export function selectorsIn(expression: string): SeriesSelector[] {
  const strings = [...expression.matchAll(STRING)].map(([text]) => text.slice(1, -1).replaceAll('\\\\', '\\'))
  // Strings first: what is in them looks like anything. Each becomes its number.
  let next = 0
  const bare = expression
    .replace(STRING, () => `"${next++}"`)
    .replace(GROUPING, ' ')
    .replace(/\[[^\]]*\]/g, ' ')
    // Numbers and durations, but not those at the end of a name.
    .replace(/(?<![\w:"])\d[\w.]*/g, ' ')
  return [...bare.matchAll(/([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\()?/g)].flatMap(([, metric = '', rest = '']) => {
    const isCall = rest === '(' || /^(by|on)$/.test(metric)
    if (isCall || KEYWORDS.has(metric.toLowerCase())) return []
    return [{ metric, matchers: matchersIn(rest, strings) }]
  })
}

const withoutStrings = (expression: string): string => expression.replace(STRING, '""')

function matchersIn(braces: string, strings: readonly string[]): Matcher[] {
  return [...braces.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"(\d+)"/g)].map(([, label = '', operator, index]) => ({
    label,
    operator: operator as Matcher['operator'],
    value: strings[Number(index)] ?? '',
  }))
}
