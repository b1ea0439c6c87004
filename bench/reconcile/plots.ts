/** Plots as SVG text, drawn by echarts without a browser. */
import type { EChartsOption } from 'echarts'
import * as echarts from 'echarts'
import type { SweepRow } from './main.js'
import { methods, type PeerRow } from './peer.js'

const colors = { ours: '#0b7285', bpf: '#e8590c', map: '#868e96' }

function draw (option: EChartsOption, width = 760, height = 440): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height })
  try {
    chart.setOption({ animation: false, backgroundColor: '#ffffff', textStyle: { fontFamily: 'sans-serif' }, ...option })
    return chart.renderToSVGString()
  } finally {
    chart.dispose()
  }
}

const ways = { bulk: ['whole group', colors.bpf], list: ['ids and digests', colors.map], sketch: ['sketch', colors.ours], engine: ['as the engine decides', '#2b8a3e'] } as const
const units = { wallMs: 'ms (wall clock)', cpuMs: 'ms (CPU time of both nodes)', bytes: 'bytes on the wire' } as const

const short = (n: number): string => (n >= 1e6 ? `${Math.round(n / 1e5) / 10}M` : n >= 1e3 ? `${n / 1e3}k` : String(n))

function lines (rows: readonly SweepRow[], of: (row: SweepRow, value: number) => number): EChartsOption['series'] {
  const line = (name: string, color: string, pick: (row: SweepRow) => number | null) => ({
    name,
    type: 'line' as const,
    color,
    symbolSize: 7,
    data: rows.flatMap((row) => {
      const value = pick(row)
      return value === null ? [] : [[row.sessions, of(row, value)]]
    })
  })
  return [line('shared table', colors.ours, (r) => r.cpuMs), line('kernel hash maps, batch calls', colors.bpf, (r) => r.bpfMs), line('JavaScript Map', colors.map, (r) => r.mapMs)]
}

const sessionsAxis = { type: 'log' as const, name: 'sessions', nameLocation: 'middle' as const, nameGap: 28, min: 10_000, axisLabel: { formatter: short } }
const legend = { top: 32 }
const grid = { left: 70, right: 30, top: 70, bottom: 55 }

/** Milliseconds over the number of sessions, both logarithmic. */
export function costPlot (rows: readonly SweepRow[]): string {
  return draw({
    title: { text: 'Reconciliation: find and remove what the peer no longer has', textStyle: { fontSize: 15 } },
    legend,
    grid,
    xAxis: sessionsAxis,
    yAxis: { type: 'log', name: 'ms (CPU time)', axisLabel: { formatter: (v: number) => String(v) } },
    series: lines(rows, (_, value) => value)
  })
}

/** Nanoseconds per session: flat is linear. */
export function perSessionPlot (rows: readonly SweepRow[]): string {
  return draw({
    title: { text: 'Reconciliation: cost per session', textStyle: { fontSize: 15 } },
    legend,
    grid,
    xAxis: sessionsAxis,
    yAxis: { type: 'log', name: 'ns per session', axisLabel: { formatter: (v: number) => String(v) } },
    series: lines(rows, ({ sessions }, value) => value * 1e6 / sessions)
  })
}

/** One run: the three variants side by side. */
export function barPlot (figures: Readonly<Record<string, number>>): string {
  const bars = [
    { name: 'shared table', value: figures.reconcile_cpu_ms, color: colors.ours },
    { name: 'JavaScript Map', value: figures.reconcile_map_cpu_ms, color: colors.map },
    { name: 'kernel hash maps', value: figures.reconcile_bpf_cpu_ms, color: colors.bpf }
  ].flatMap(({ name, value, color }) => (value === undefined ? [] : [{ name, value, itemStyle: { color } }]))
  return draw({
    title: { text: `Reconciling ${short(figures.sessions ?? 0)} sessions`, textStyle: { fontSize: 15 } },
    grid: { left: 130, right: 80, top: 50, bottom: 50 },
    xAxis: { type: 'value', name: 'ms (CPU time)', nameLocation: 'middle', nameGap: 28 },
    yAxis: { type: 'category', inverse: true, data: bars.map((b) => b.name) },
    series: [{ type: 'bar', data: bars, label: { show: true, position: 'right' }, barMaxWidth: 36 }]
  }, 760, 240)
}

/** Each way to make two nodes equal, a group of bars for each number of differences. */
export function peerPlot (rows: readonly PeerRow[], what: keyof typeof units): string {
  const differences = [...new Set(rows.map((r) => r.differences))]
  return draw({
    title: { text: `Two nodes that differ: ${units[what]}`, textStyle: { fontSize: 15 } },
    legend,
    grid,
    xAxis: { type: 'category', name: 'sessions that differ', nameLocation: 'middle', nameGap: 28, data: differences.map(short) },
    yAxis: { type: 'log', axisLabel: { formatter: short } },
    series: methods.map((method) => ({
      name: ways[method][0], type: 'bar' as const, color: ways[method][1], data: differences.map((d) => rows.find((r) => r.method === method && r.differences === d)?.[what] ?? null)
    }))
  }, 760, 340)
}
