/** What the dataplane does, over the last minutes. */
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { short } from './format.js'
import type { CounterRates } from './counter-rates.js'
import { Freshness, Panel, useFeed, useStore } from './ui.js'

interface Plotted { readonly title: string, readonly unit: string, readonly lines: ReadonlyArray<{ readonly label: string, readonly key: string }> }
const plots: readonly Plotted[] = [
  { title: 'Packets', unit: '/s', lines: [{ label: 'received', key: 'rx_packets' }, { label: 'sent', key: 'tx_packets' }] },
  { title: 'Bytes', unit: 'B/s', lines: [{ label: 'received', key: 'rx_bytes' }, { label: 'sent', key: 'tx_bytes' }] },
  { title: 'Sessions', unit: '/s', lines: [{ label: 'created', key: 'sessions_created' }, { label: 'revived', key: 'sessions_revived' }] },
  { title: 'Drops', unit: '/s', lines: [{ label: 'dropped', key: 'drops' }, { label: 'without a session', key: 'session_misses' }] }
]
const strokes = ['--line-1', '--line-2'] as const

export function RatesView ({ agents }: { readonly agents: readonly string[] }): JSX.Element { return <>{agents.map(agent => <AgentRates key={agent} agent={agent} />)}</> }

function AgentRates ({ agent }: { readonly agent: string }): JSX.Element {
  useStore()
  const { feed, rates } = useFeed(agent, 'counters')
  const drops = (feed.reading.value?.blocks.find(({ name }) => name === 'drops')?.rows ?? []).map(({ name, text }) => ({ name, text, rate: rates.now.get(`drops/${name}/packets`) ?? 0, total: rates.totals.get(`drops/${name}/packets`) ?? 0 })).filter(({ total }) => total > 0).sort((a, b) => b.rate - a.rate || b.total - a.total).slice(0, 8)
  return (
    <Panel title="Rates" agent={agent} note={<Freshness reading={feed.reading} />}>
      <div class="plots">{plots.map(plot => <Plot key={plot.title} plot={plot} rates={rates} at={feed.reading.at} />)}</div>
      {drops.length > 0 && <dl class="drops" aria-label="packets dropped, by reason">{drops.map(({ name, text, rate, total }) => <div key={name} title={text}><dt>{name}</dt><dd>{short(rate, '/s')} <span class="faint">{short(total)} in all</span></dd></div>)}</dl>}
    </Panel>
  )
}

const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** `at`: of the latest reading; another one is drawn. */
function Plot ({ plot: { title, unit, lines }, rates, at }: { readonly plot: Plotted, readonly rates: CounterRates, readonly at: number }): JSX.Element {
  const place = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | null>(null)
  const series = lines.map(({ key }) => rates.series.get(`global/${key}/value`))
  useEffect(() => {
    const element = place.current
    if (element === null) return
    const draw = (): void => {
      chart.current?.destroy()
      const axis = { stroke: () => colour('--muted'), grid: { stroke: () => colour('--rule'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' }
      chart.current = new uPlot({
        width: element.clientWidth, height: 150, legend: { show: false }, cursor: { y: false, points: { size: 6 } }, padding: [8, 8, 0, 0],
        scales: { y: { range: (_u, _low, high) => [0, Math.max(high, 1) * 1.1] } },
        axes: [{ ...axis, size: 24, space: 70, values: (_u, splits) => splits.map(s => new Date(s * 1000).toTimeString().slice(0, 8)) }, { ...axis, size: 56, values: (_u, splits) => splits.map(v => short(v)) }],
        series: [{}, ...lines.map(({ label }, i) => ({ label, stroke: colour(strokes[i] ?? '--line-1'), width: 1.5, points: { show: false } }))]
      }, [[], ...lines.map(() => [])], element)
    }
    draw()
    const watch = new ResizeObserver(() => { chart.current?.setSize({ width: element.clientWidth, height: 150 }) })
    watch.observe(element)
    const dark = window.matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', draw)
    return () => {
      watch.disconnect()
      dark.removeEventListener('change', draw)
      chart.current?.destroy()
      chart.current = null
    }
  }, [])
  useEffect(() => {
    const [first] = series
    if (first !== undefined) chart.current?.setData([first.at, ...series.map(one => one?.values ?? [])] as uPlot.AlignedData)
  }, [at])
  return (
    <figure class="rate">
      <figcaption><b>{title}</b>{lines.map(({ label, key }, i) => <span key={key} class={`line-${i + 1}`}><span aria-hidden="true">▬</span> {label} <span class="now">{short(rates.now.get(`global/${key}/value`), unit)}</span></span>)}</figcaption>
      <div ref={place} class="uplot-place" aria-hidden="true" />
    </figure>
  )
}
