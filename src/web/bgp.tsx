/** BGP neighbours: what the routing daemons of each host say, as the watch tells it. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { count } from './format.js'
import type { ObjectOf } from './model.js'
import { Age, Flash, Panel, State, Table, useStore, type Column } from './ui.js'

type Neighbour = ObjectOf<'bgp'>
const columns: readonly Column[] = [
  { name: 'vrf', label: 'VRF', wide: 7 }, { name: 'peer', label: 'Peer', wide: 13 }, { name: 'as', label: 'AS', number: true, wide: 6 }, { name: 'state', label: 'State', wide: 8 }, { name: 'since', label: 'For', number: true, wide: 7 }, { name: 'flaps', label: 'Flaps', number: true, wide: 5 },
  { name: 'fsm', label: 'FSM', wide: 9, minor: true }, { name: 'source', label: 'Source', wide: 6, minor: true }, { name: 'description', label: 'Description', wide: 12, minor: true }, { name: 'why', label: 'Why', wide: 20 }
]

export function Bgp ({ agents }: { readonly agents: readonly string[] }): JSX.Element {
  const [text, setText] = useState('')
  const [troubled, setTroubled] = useState(false)
  return (
    <>
      <form class="tools" role="search" aria-label="Neighbours" onSubmit={(event) => { event.preventDefault() }}>
        <label>Find <input type="search" value={text} placeholder="VRF, peer or description" onInput={({ currentTarget }) => { setText(currentTarget.value) }} /></label>
        <label class="check"><input type="checkbox" checked={troubled} onChange={({ currentTarget }) => { setTroubled(currentTarget.checked) }} /> Not up only</label>
      </form>
      {agents.map(agent => <Neighbours key={agent} agent={agent} text={text.toLowerCase()} troubled={troubled} />)}
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
