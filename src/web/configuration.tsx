/** Links of the dataplane, and generations of the configuration. */
import type { JSX } from 'preact'
import type { ObjectOf } from './model.js'
import { count, dateTime, short } from './format.js'
import { Age, Freshness, Panel, State, Table, useFeed, useStore, type Column } from './ui.js'

const linkColumns: readonly Column[] = [
  { name: 'name', label: 'Link', wide: 9 }, { name: 'state', label: 'State', wide: 6 }, { name: 'kind', label: 'Kind', wide: 5 }, { name: 'addresses', label: 'Addresses', wide: 20 }, { name: 'mac', label: 'MAC', wide: 10, minor: true }, { name: 'mtu', label: 'MTU', number: true, wide: 4, minor: true },
  { name: 'rx', label: 'Received', number: true, wide: 7 }, { name: 'rxb', label: '', number: true, wide: 7, minor: true }, { name: 'tx', label: 'Sent', number: true, wide: 7 }, { name: 'txb', label: '', number: true, wide: 7, minor: true }
]
type Link = ObjectOf<'link'>
type Generation = ObjectOf<'generation'>

export function Links ({ agents }: { readonly agents: readonly string[] }): JSX.Element { return <>{agents.map(agent => <LinkTable key={agent} agent={agent} />)}</> }

function LinkTable ({ agent }: { readonly agent: string }): JSX.Element {
  const store = useStore()
  const { feed, rates } = useFeed(agent, 'counters')
  const rows = store.list(agent, 'link').map(([, link]) => link)
  return (
    <Panel title="Links" agent={agent} note={<><span class="faint">{count(rows.length)}</span> <Freshness reading={feed.reading} /></>}>
      <Table<Link> caption={`Links of ${agent}`} columns={linkColumns} rows={rows} keyOf={({ name }) => name} empty="There are none." row={({ name, up, kind, addresses, mac, mtu }) => [
        name, <State word={up ? 'up' : 'down'} />, kind, <code title={addresses.join('\n')}>{addresses.join(' ')}</code>, <code>{mac}</code>, mtu,
        short(rates.now.get(`iface_rx/${name}/packets`), '/s'), short(rates.now.get(`iface_rx/${name}/bytes`), 'B/s'), short(rates.now.get(`iface_tx/${name}/packets`), '/s'), short(rates.now.get(`iface_tx/${name}/bytes`), 'B/s')
      ]} />
    </Panel>
  )
}

const generationColumns: readonly Column[] = [
  { name: 'generation', label: 'Generation', wide: 6 }, { name: 'state', label: 'State', wide: 9 }, { name: 'applied', label: 'Applied', wide: 12 }, { name: 'ago', label: 'Ago', number: true, wide: 7 }, { name: 'author', label: 'By', wide: 10 }, { name: 'source', label: 'From', wide: 6, minor: true }, { name: 'comment', label: 'Why', wide: 22 }, { name: 'hash', label: 'Hash', wide: 9, minor: true }
]

export function Generations ({ agents }: { readonly agents: readonly string[] }): JSX.Element {
  const store = useStore()
  return (
    <>{agents.map((agent) => {
      const rows = store.list(agent, 'generation').map(([, generation]) => generation).reverse()
      return (
        <Panel key={agent} title="Generations" agent={agent} note={<span class="faint">{count(rows.length)}</span>}>
          <Table<Generation> caption={`Generations of the configuration of ${agent}`} columns={generationColumns} rows={rows} keyOf={({ generation }) => String(generation)} empty="None was applied yet." row={one => [
            one.generation, <><State word={one.state} />{one.confirmByMs !== undefined && <span class="faint"> until {dateTime(one.confirmByMs)}</span>}</>, dateTime(one.appliedAtMs), <Age at={one.appliedAtMs} />, one.author, one.source, <span title={one.comment}>{one.comment}</span>, <code title={one.hash}>{one.hash.slice(0, 12)}</code>
          ]} />
        </Panel>
      )
    })}</>
  )
}
