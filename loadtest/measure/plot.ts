/**
 * Lines over time as a small SVG file that a browser shows beside RESULTS.md, on light and on dark ground.
 */
export interface Plot {
  /** Of the file, after the scenario's. */
  readonly name: string
  readonly title: string
  readonly unit: string
  /** What the x axis counts. */
  readonly over: string
  readonly series: readonly Series[]
}

export interface Series {
  readonly name: string
  /** x and y, x rising. */
  readonly points: readonly (readonly [number, number])[]
}

const WIDTH = 720
const HEIGHT = 240
const MARGIN = { top: 30, right: 130, bottom: 34, left: 60 }
const TICKS = 4
const LEGEND_STEP = 16
/** Told apart also by people who see red and green alike (Okabe and Ito). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#7f7f7f', '#b0a000']

export function svgOf(plot: Plot): string {
  const points = plot.series.flatMap((series) => series.points)
  const maxX = Math.max(1, ...points.map(([x]) => x))
  const maxY = roundUp(Math.max(...points.map(([, y]) => y), 0))
  const scale: Scale = {
    x: (value) => MARGIN.left + (value / maxX) * (WIDTH - MARGIN.left - MARGIN.right),
    y: (value) => HEIGHT - MARGIN.bottom - (value / maxY) * (HEIGHT - MARGIN.top - MARGIN.bottom),
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="sans-serif" font-size="11">`,
    `<title>${escaped(`${plot.title}, ${plot.unit}, over ${plot.over}`)}</title>`,
    '<style>text{fill:#333}.grid{stroke:#8886}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>',
    text(MARGIN.left, 18, `${plot.title} (${plot.unit})`, 'font-size="13"'),
    ...axes(scale, maxX, maxY, plot.over),
    ...plot.series.flatMap((series, index) => line(scale, series, index)),
    '</svg>\n',
  ].join('\n')
}

interface Scale {
  x(value: number): number
  y(value: number): number
}

function axes(scale: Scale, maxX: number, maxY: number, over: string): string[] {
  const steps = Array.from({ length: TICKS + 1 }, (_, index) => index / TICKS)
  const rows = steps.flatMap((share) => {
    const y = scale.y(share * maxY).toFixed(1)
    const grid = `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y}" y2="${y}"/>`
    return [grid, text(MARGIN.left - 6, Number(y) + 4, shortly(share * maxY), 'text-anchor="end"')]
  })
  const columns = steps.map((share) =>
    text(scale.x(share * maxX), HEIGHT - MARGIN.bottom + 16, shortly(share * maxX), 'text-anchor="middle"'),
  )
  return [...rows, ...columns, text(WIDTH - MARGIN.right, HEIGHT - 4, over, 'text-anchor="end"')]
}

function line(scale: Scale, { name, points }: Series, index: number): string[] {
  const colour = COLOURS[index % COLOURS.length]
  const path = points.map(([x, y]) => `${scale.x(x).toFixed(1)},${scale.y(y).toFixed(1)}`).join(' ')
  const y = MARGIN.top + 6 + index * LEGEND_STEP
  const x = WIDTH - MARGIN.right + 10
  return [
    `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${path}"/>`,
    `<line x1="${x}" x2="${x + 14}" y1="${y}" y2="${y}" stroke="${colour}" stroke-width="3"/>`,
    text(x + 20, y + 4, name),
  ]
}

const text = (x: number, y: number, value: string, more = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(value)}</text>`

const escaped = (value: string): string => value.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/** The next of 1, 2, 2.5, 5 and 10 times a power of ten. */
function roundUp(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 2.5, 5].find((step) => step * power >= value) ?? 10) * power
}

const shortly = (value: number): string => Number(value.toPrecision(3)).toLocaleString('en-US')
