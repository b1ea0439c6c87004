/** The report as one HTML file: figures, method, plots; needs no network and no script. */
import type { SuiteResult } from '../lib/samples.js'
import { goalText } from '../lib/report.js'
import type { PeerRow } from './peer.js'

const escape = (text: string): string => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)

/** `picked`: by number of differences, whether the engine took the whole group. */
export interface PeerSection { readonly rows: readonly PeerRow[], readonly picked: ReadonlyMap<number, boolean>, readonly svgs: readonly string[] }

function peerSection ({ rows, picked, svgs }: PeerSection): string {
  const lines = rows.map(({ differences, method, bytes, cpuMs, wallMs }) => {
    const way = method === 'engine' ? `engine: ${picked.get(differences) === true ? 'bulk' : 'sketch'}` : method
    return `<tr><td class="n">${differences}</td><td>${way}</td><td class="n">${Math.round(bytes)}</td><td class="n">${cpuMs.toFixed(1)}</td><td class="n">${wallMs.toFixed(1)}</td></tr>`
  }).join('\n')
  return `<h2>Two nodes that differ</h2>
${svgs.join('\n')}
<table><tr><th>differ</th><th>repaired by</th><th>bytes</th><th>CPU, ms</th><th>wall clock, ms</th></tr>
${lines}
</table>
`
}

export function htmlReport (result: SuiteResult, machine: string, date: Date, svgs: readonly string[], peer: PeerSection | null = null): string {
  const rows = Object.entries(result.figures).map(([name, value]) => {
    const goal = goalText(name, value)
    const spread = result.spread[name]
    return `<tr><td>${escape(name)}</td><td class="n">${value}</td><td class="${goal.startsWith('MISSES') ? 'bad' : 'good'}">${escape(goal)}</td><td>${spread === undefined ? '' : `${spread.q1} – ${spread.q3}`}</td></tr>`
  }).join('\n')
  const samples = Object.entries(result.spread).map(([name, s]) => `<tr><td>${escape(name)}</td><td class="n">${s.n}</td><td class="n">${s.q1}</td><td class="n">${s.median}</td><td class="n">${s.q3}</td></tr>`).join('\n')
  const notes = Object.entries(result.notes).map(([name, text]) => `<li><b>${escape(name)}</b>: ${escape(text)}</li>`).join('\n')
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Lockstep: ${escape(result.suite)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 820px; margin: 2em auto; padding: 0 1em; color: #212529 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .2em .8em; border-bottom: 1px solid #dee2e6; text-align: left }
.n { text-align: right; font-variant-numeric: tabular-nums } .good { color: #2b8a3e } .bad { color: #c92a2a } svg { max-width: 100%; height: auto }
</style>
<h1>Session reconciliation</h1>
<p>${escape(machine)}<br>${escape(date.toISOString())}</p>
${svgs.join('\n')}
${peer === null ? '' : peerSection(peer)}<h2>Figures</h2>
<table><tr><th>figure</th><th>value</th><th>goal</th><th></th></tr>
${rows}
</table>
<h2>Samples (quartiles, nanoseconds)</h2>
<table><tr><th>sample</th><th>n</th><th>25 %</th><th>median</th><th>75 %</th></tr>
${samples}
</table>
<h2>Notes</h2>
<ul>
${notes}
</ul>
</html>
`
}
