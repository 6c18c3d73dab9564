/**
 * Bars over time, stacked by group, with the same figures as a table for whoever does not see or not trust a drawing.
 */
import type { RefObject } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { type Stacks, ticks } from '../model/series.js'
import { ScrollBox } from './scroll-box.js'

interface Props {
  readonly stacks: Stacks
  readonly label: string
  readonly figure: (value: number) => string
  readonly timeLabel: (at: number) => string
}

const HEIGHT = 220
const LEFT = 64
const BOTTOM = 22
const TOP = 8
/** Of a label under the bars, with room beside it. */
const LABEL_PX = 90
const FIRST_WIDTH = 800

export function StackedChart({ stacks, label, figure, timeLabel }: Props) {
  const [asTable, setAsTable] = useState(false)
  return (
    <figure class="chart">
      <figcaption>
        <Legend stacks={stacks} figure={figure} />
        <button type="button" class="plain" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          As a table
        </button>
      </figcaption>
      {asTable ? (
        <ChartTable stacks={stacks} label={label} figure={figure} timeLabel={timeLabel} />
      ) : (
        <Bars stacks={stacks} label={label} figure={figure} timeLabel={timeLabel} />
      )}
    </figure>
  )
}

function Legend({ stacks: { series }, figure }: Pick<Props, 'stacks' | 'figure'>) {
  return (
    <ul class="legend" aria-label="Groups">
      {series.map(({ name, total }, index) => (
        <li key={name}>
          <span class={`swatch series-${index}`} aria-hidden="true" />
          <span class="legend-name" title={name}>
            {name}
          </span>{' '}
          <span class="quiet figure">{figure(total)}</span>
        </li>
      ))}
    </ul>
  )
}

function Bars({ stacks: { times, series }, label, figure, timeLabel }: Props) {
  const box = useRef<SVGSVGElement>(null)
  const width = useWidth(box)
  const heights = times.map((_, bar) => series.reduce((sum, { values }) => sum + (values[bar] ?? 0), 0))
  const lines = ticks(Math.max(...heights, 0))
  const top = lines.at(-1) ?? 1
  const y = (value: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)
  const slot = (width - LEFT) / Math.max(1, times.length)
  const everyLabel = Math.ceil((times.length * LABEL_PX) / (width - LEFT))
  return (
    <svg ref={box} height={HEIGHT} role="img" aria-label={label}>
      {lines.map((value) => (
        <g key={value}>
          <line class="grid" x1={LEFT} x2={width} y1={y(value)} y2={y(value)} />
          <text class="axis" x={LEFT - 8} y={y(value) + 4} text-anchor="end">
            {figure(value)}
          </text>
        </g>
      ))}
      {times.map((at, bar) => {
        let foot = 0
        return (
          <g key={at}>
            <title>{`${timeLabel(at)}: ${figure(heights[bar] ?? 0)}`}</title>
            {/* The whole slot, so that a low bar can be pointed at too. */}
            <rect class="slot" x={LEFT + bar * slot} y={TOP} width={slot} height={HEIGHT - TOP - BOTTOM} />
            {series.map(({ name, values }, index) => {
              const value = values[bar] ?? 0
              foot += value
              return value === 0 ? null : (
                <rect
                  key={name}
                  class={`series-${index}`}
                  x={LEFT + bar * slot + slot * 0.15}
                  width={slot * 0.7}
                  y={y(foot)}
                  height={Math.max(0, y(foot - value) - y(foot) - 0.75)}
                />
              )
            })}
            {bar % everyLabel === 0 && (
              <text class="axis" x={LEFT + (bar + 0.5) * slot} y={HEIGHT - 6} text-anchor="middle">
                {timeLabel(at)}
              </text>
            )}
          </g>
        )
      })}
    </svg>
  )
}

/** Drawn in the page's own pixels, so that letters have the size of all others. */
function useWidth(box: RefObject<SVGSVGElement | null>): number {
  const [width, setWidth] = useState(FIRST_WIDTH)
  useLayoutEffect(() => {
    const element = box.current
    if (!element) return
    const observer = new ResizeObserver(() => setWidth(element.clientWidth || FIRST_WIDTH))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return width
}

function ChartTable({ stacks: { times, series }, label, figure, timeLabel }: Props) {
  const used = times.flatMap((at, bar) => (series.some(({ values }) => values[bar]) ? [{ at, bar }] : []))
  return (
    <ScrollBox class="table-box" label={label}>
      <table>
        <thead>
          <tr>
            <th scope="col">From</th>
            {series.map(({ name }) => (
              <th key={name} scope="col" class="figure">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {used.map(({ at, bar }) => (
            <tr key={at}>
              <th scope="row">{timeLabel(at)}</th>
              {series.map(({ name, values }) => (
                <td key={name} class="figure">
                  {figure(values[bar] ?? 0)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </ScrollBox>
  )
}
