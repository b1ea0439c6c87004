/** BGP: neighbours, as the watch tells what the routing daemons of each host say, and the routes to VIPs that these are given, as they are asked for. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { count } from './format.js'
import type { ObjectOf, Routes } from './model.js'
import { Age, Flash, Freshness, Panel, State, Table, useFeed, useStore, type Column } from './ui.js'

type Neighbour = ObjectOf<'bgp'>
const columns: readonly Column[] = [
  { name: 'vrf', label: 'VRF', wide: 7 }, { name: 'peer', label: 'Peer', wide: 13 }, { name: 'as', label: 'AS', number: true, wide: 6, minor: true }, { name: 'state', label: 'State', wide: 8 }, { name: 'since', label: 'For', number: true, wide: 7 }, { name: 'flaps', label: 'Flaps', number: true, wide: 5 },
  { name: 'fsm', label: 'FSM', wide: 9, minor: true }, { name: 'source', label: 'Source', wide: 6, minor: true }, { name: 'description', label: 'Description', wide: 12, minor: true }, { name: 'why', label: 'Why', wide: 20 }
]

export function Bgp ({ agents }: { readonly agents: readonly string[] }): JSX.Element {
  const [text, setText] = useState('')
  const [troubled, setTroubled] = useState(false)
  return (
    <>
      <form class="tools" role="search" aria-label="Neighbours" onSubmit={(event) => { event.preventDefault() }}>
        <label>Find <input type="search" value={text} placeholder="VRF, peer, description or VIP" onInput={({ currentTarget }) => { setText(currentTarget.value) }} /></label>
        <label class="check"><input type="checkbox" checked={troubled} onChange={({ currentTarget }) => { setTroubled(currentTarget.checked) }} /> Not up only</label>
      </form>
      {agents.map(agent => <Neighbours key={agent} agent={agent} text={text.toLowerCase()} troubled={troubled} />)}
      {agents.map(agent => <Announced key={agent} agent={agent} text={text.toLowerCase()} troubled={troubled} />)}
    </>
  )
}

function Neighbours ({ agent, text, troubled }: { readonly agent: string, readonly text: string, readonly troubled: boolean }): JSX.Element {
  const store = useStore()
  const all = store.list(agent, 'bgp').map(([, neighbour]) => neighbour)
  const rows = all.filter(n => (!troubled || n.state !== 'up') && (text === '' || `${n.key} ${n.description ?? ''}`.toLowerCase().includes(text)))
  return (
    <Panel title="Neighbours" agent={agent} note={<span class="faint">{count(all.filter(({ state }) => state === 'up').length)} up of {count(all.length)}</span>}>
      <Table<Neighbour> caption={`BGP neighbours of ${agent}`} columns={columns} rows={rows} keyOf={({ key }) => key} empty={all.length === 0 ? 'No neighbour is known: section bgp of the configuration says where they are read.' : 'None is like that.'} row={n => [
        n.vrf, <code title={n.key}>{n.peer}</code>, n.remoteAs ?? '', <State word={n.state} title={n.unknownBecause} />, <Age at={n.sinceMs} never="" />, <Flash value={n.flaps}>{count(n.flaps)}</Flash>,
        n.state === 'unknown' ? '' : n.adminDown ? 'shut down' : n.fsm ?? '', n.source, <span title={n.description}>{n.description ?? ''}</span>, <span title={n.unknownBecause || n.reason}>{n.unknownBecause !== '' ? n.unknownBecause : n.state === 'up' ? '' : n.reason ?? ''}</span>
      ]} />
    </Panel>
  )
}

type Route = Routes['routes'][number]
const routeColumns: readonly Column[] = [
  { name: 'prefix', label: 'Route to', wide: 13 }, { name: 'state', label: 'State', wide: 9 }, { name: 'since', label: 'For', number: true, wide: 7 }, { name: 'vips', label: 'VIPs', wide: 14 }, { name: 'why', label: 'Why', wide: 20 }
]

/** Nothing of an agent that announces nothing. */
function Announced ({ agent, text, troubled }: { readonly agent: string, readonly text: string, readonly troubled: boolean }): JSX.Element | null {
  const { feed: { reading } } = useFeed(agent, 'routes')
  const { routes, sinks } = reading.value ?? { routes: [], sinks: [] }
  if (routes.length === 0 && sinks.length === 0) return null
  const rows = routes.filter(route => (!troubled || !route.announced) && (text === '' || `${route.prefix} ${route.vips.join(' ')}`.toLowerCase().includes(text)))
  return (
    <Panel title="Announced VIPs" agent={agent} note={<><span class="faint">{count(routes.filter(({ announced }) => announced).length)} of {count(routes.length)}</span> <Freshness reading={reading} /></>}>
      <ul class="places" aria-label="where routes are put">
        {sinks.map(({ name, failed, goodAtMs }) => <li key={name}><State word={failed === '' ? 'ok' : 'fails'} /> {name} <span class="faint">{failed === '' ? <>as it should be <Age at={goodAtMs} never="" /></> : failed}</span></li>)}
      </ul>
      <Table<Route> caption={`Routes to VIPs of ${agent}`} columns={routeColumns} rows={rows} keyOf={({ prefix }) => prefix} empty={routes.length === 0 ? 'No VIP is to be announced.' : 'None is like that.'} row={route => [
        <code>{route.prefix}</code>, <State word={route.announced ? 'announced' : 'withdrawn'} />, <Age at={route.sinceMs} never="" />, route.vips.join(', '), <span title={route.reason}>{route.reason}</span>
      ]} />
    </Panel>
  )
}
