/** Targets of health checks, and a heartbeat of each: its latest probes, and when the next one begins. */
import type { JSX } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { count, endpoint } from './format.js'
import type { Target } from './model.js'
import { Age, Flash, Freshness, Panel, State, Table, toneOf, useFeed, usePage, useStore, type Column } from './ui.js'

const BEATS = 16
const columns: readonly Column[] = [
  { name: 'target', label: 'Target', wide: 13 }, { name: 'check', label: 'Check', wide: 7, minor: true }, { name: 'state', label: 'State', wide: 7 }, { name: 'beats', label: 'Probes', wide: 9 }, { name: 'since', label: 'For', number: true, wide: 7 }, { name: 'last', label: 'Last probe', wide: 16, minor: true },
  { name: 'took', label: 'Took', number: true, wide: 6, tiny: true }, { name: 'ago', label: 'Ago', number: true, wide: 6.5, tiny: true }, { name: 'share', label: 'Share', number: true, wide: 5, minor: true }, { name: 'passed', label: 'Passed', number: true, wide: 6, minor: true }, { name: 'failed', label: 'Failed', number: true, wide: 6, minor: true }
]

export function Checks ({ agents }: { readonly agents: readonly string[] }): JSX.Element {
  const [text, setText] = useState('')
  const [troubled, setTroubled] = useState(false)
  return (
    <>
      <form class="tools" role="search" aria-label="Targets" onSubmit={(event) => { event.preventDefault() }}>
        <label>Find <input type="search" value={text} placeholder="address or check" onInput={({ currentTarget }) => { setText(currentTarget.value) }} /></label>
        <label class="check"><input type="checkbox" checked={troubled} onChange={({ currentTarget }) => { setTroubled(currentTarget.checked) }} /> Not up only</label>
      </form>
      {agents.map(agent => <Targets key={agent} agent={agent} text={text.toLowerCase()} troubled={troubled} />)}
    </>
  )
}

/** A mark for each reading that has new probes: whether none of them failed. */
interface Beats { readonly at: number, readonly failed: number, readonly list: readonly boolean[] }

function Targets ({ agent, text, troubled }: { readonly agent: string, readonly text: string, readonly troubled: boolean }): JSX.Element {
  const store = useStore()
  const { feed } = useFeed(agent, 'checks')
  const beats = useRef(new Map<string, Beats>())
  const fresh = new Map((feed.reading.value ?? []).map(target => [target.id, target]))
  const all = store.list(agent, 'target')
  // a watch tells a target when its state changes; what probes say between is in the reading
  const rows = all.map(([id, target]): Target => ({ ...fresh.get(id) ?? target, state: target.state, sinceMs: target.sinceMs })).filter(target => (!troubled || target.state !== 'up') && (text === '' || `${target.id} ${target.check} ${target.address}`.toLowerCase().includes(text)))
  for (const { id, last, failed } of rows) {
    const known = beats.current.get(id)
    if (last === undefined || last.atMs === known?.at) continue
    beats.current.set(id, { at: last.atMs, failed, list: [...known?.list ?? [], last.ok && (known === undefined || failed <= known.failed)].slice(-BEATS) })
  }
  if (beats.current.size > all.length * 2 + 64) beats.current.clear()
  return (
    <Panel title="Targets" agent={agent} note={<><span class="faint">{count(rows.length)}</span> <Freshness reading={feed.reading} /></>}>
      <Table<Target> caption={`Targets of health checks of ${agent}`} columns={columns} rows={rows} keyOf={({ id }) => id} empty={all.length === 0 ? 'No health checks are configured.' : 'None is like that.'} row={target => [
        <code title={target.id}>{endpoint(target.address, target.port)}</code>, target.check, <State word={target.state} />, <Heart beats={beats.current.get(target.id)} target={target} />, <Age at={target.sinceMs} />,
        target.last === undefined ? <span class="faint">none yet</span> : <span class={`state ${target.last.ok ? 'good' : 'bad'}`} title={target.last.detail}>{target.last.code} <span class="faint">{target.last.detail}</span></span>,
        target.last === undefined ? '' : `${target.last.tookMs.toFixed(1)} ms`, <Age at={target.last?.atMs} never="" />, `${target.sharePct} %`, <Flash value={target.passed}>{count(target.passed)}</Flash>, <Flash value={target.failed}>{count(target.failed)}</Flash>
      ]} />
    </Panel>
  )
}

/**
 * Probes that ended while this page looked; the last mark beats when it comes. Behind it a hollow one: a probe that is under way, or that appears at the moment for which the
 * agent planned it. No message says that a probe begins, and there may be thousands in a second: when it is due is in each reading, and the browser waits for it by itself.
 */
function Heart ({ beats, target }: { readonly beats: Beats | undefined, readonly target: Target }): JSX.Element {
  const { probing, nextAtMs } = target
  const list = beats?.list ?? []
  const failed = list.filter(ok => !ok).length
  return (
    <span class="heart" role="img" aria-label={`of the latest ${list.length} readings ${failed} have failed probes; ${nextAtMs === undefined ? 'nobody probes' : probing ? 'a probe is under way' : 'the next one is planned'}`}>
      {list.map((ok, i) => <i key={i === list.length - 1 ? beats?.at : i} class={`${toneOf(ok ? 'ok' : 'failed')}${i === list.length - 1 ? ' last' : ''}`} />)}
      {nextAtMs !== undefined && (probing ? <i key="began" class="next began" /> : <Next key={`next ${nextAtMs}`} atMs={nextAtMs} />)}
    </span>
  )
}

/** Its delay is that of its first render: another one would count from there, too. */
function Next ({ atMs }: { readonly atMs: number }): JSX.Element {
  const page = usePage()
  const [delayMs] = useState(() => Math.max(0, Math.round(atMs - page.now())))
  return <i class="next" data-at={atMs} style={{ animationDelay: `${delayMs}ms` }} />
}
