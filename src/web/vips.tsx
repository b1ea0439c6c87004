/** VIPs with their reals in the order of the configuration: what each has, since when, and what it takes. A thousand of them scroll: only those in sight exist. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { count, endpoint, protocol, short } from './format.js'
import type { Real, Vip } from './model.js'
import type { LiveStore } from './store.js'
import { Age, Flash, Freshness, Panel, Spark, State, Table, useFeed, useStore, type Column } from './ui.js'

const columns: readonly Column[] = [
  { name: 'name', label: 'VIP / real', wide: 13 }, { name: 'address', label: 'Address', wide: 14, tiny: true }, { name: 'state', label: 'State', wide: 8 }, { name: 'weight', label: 'Weight', number: true, wide: 4.5, minor: true }, { name: 'effective', label: 'Effective', number: true, wide: 5 },
  { name: 'since', label: 'For / pool', number: true, wide: 7 }, { name: 'packets', label: 'Packets', number: true, wide: 6 }, { name: 'bytes', label: 'Bytes', number: true, wide: 6.5, minor: true }, { name: 'sessions', label: 'New sessions', number: true, wide: 7, minor: true },
  { name: 'total', label: 'Packets in all', number: true, wide: 8, minor: true }, { name: 'trend', label: 'Trend', wide: 7, minor: true }
]

type Row = { readonly key: string, readonly vip: Vip, readonly real: null } | { readonly key: string, readonly vip: Vip, readonly real: Real }
type Show = 'all' | 'not up' | 'up'

export function Vips ({ agents }: { readonly agents: readonly string[] }): JSX.Element {
  const [text, setText] = useState('')
  const [show, setShow] = useState<Show>('all')
  const [reals, setReals] = useState(true)
  return (
    <>
      <form class="tools" role="search" aria-label="VIPs" onSubmit={(event) => { event.preventDefault() }}>
        <label>Find <input type="search" value={text} placeholder="name, address or real" onInput={({ currentTarget }) => { setText(currentTarget.value) }} /></label>
        <label>State <select value={show} onChange={({ currentTarget }) => { setShow(currentTarget.value as Show) }}><option>all</option><option>not up</option><option>up</option></select></label>
        <label class="check"><input type="checkbox" checked={reals} onChange={({ currentTarget }) => { setReals(currentTarget.checked) }} /> Reals</label>
      </form>
      {agents.map(agent => <VipTable key={agent} agent={agent} text={text.toLowerCase()} show={show} reals={reals} />)}
    </>
  )
}

function VipTable ({ agent, text, show, reals }: { readonly agent: string, readonly text: string, readonly show: Show, readonly reals: boolean }): JSX.Element {
  const store = useStore()
  const { feed, rates } = useFeed(agent, 'counters')
  const all = store.list(agent, 'vip')
  const found = all.filter(([, vip]) => (show === 'all' || (vip.state === 'up') === (show === 'up')) && (text === '' || [vip.name, vip.address, ...vip.reals.flatMap(real => [real.name, real.address])].some(word => word.toLowerCase().includes(text))))
  const rows = found.flatMap(([key, vip]): Row[] => [{ key, vip, real: null }, ...reals ? vip.reals.map((real): Row => ({ key: `${key} ${real.pool} ${real.name}`, vip, real })) : []])
  const traffic = (key: string): Array<JSX.Element | string> => [
    short(rates.now.get(`${key}/packets`), '/s'), short(rates.now.get(`${key}/bytes`), 'B/s'), short(rates.now.get(`${key}/new_sessions`), '/s'), count(rates.totals.get(`${key}/packets`))
  ]
  return (
    <Panel title="VIPs" agent={agent} note={<><span class="faint">{found.length === all.length ? count(all.length) : `${count(found.length)} of ${count(all.length)}`}</span> <Freshness reading={feed.reading} /></>}>
      <Table<Row> caption={`VIPs of ${agent} with their reals`} columns={columns} rows={rows} keyOf={({ key }) => key} classOf={({ real }) => real === null ? 'vip' : 'real'} empty={all.length === 0 ? 'No VIPs are configured.' : 'None is like that.'} row={({ vip, real }) => real === null
        ? [
            <><b>{vip.name}</b> <span class="faint">{vip.mode}{vip.rg === 0 ? '' : ` rg ${vip.rg}`}</span></>, <code>{endpoint(vip.address, vip.port)} {protocol(vip.protocol)}</code>, <State word={vip.state} />, '',
            <span title="reals that serve">{vip.reals.filter(({ state }) => state === 'serving').length} / {vip.reals.length}</span>, <span class="faint">{vip.pool ?? 'no pool'}</span>,
            ...traffic(`vip/${vip.name}`), <Spark values={rates.series.get(`vip/${vip.name}/packets`)?.values} />
          ]
        : [
            <><span class="faint" aria-hidden="true">└ </span>{real.name} <span class="faint">{real.pool === vip.pool ? '' : real.pool}</span></>, <code>{endpoint(real.address, real.port)}</code>, <State word={real.state} title={real.target ?? 'nobody checks it'} />, real.configuredWeight,
            <Flash value={real.weight}>{real.weight}</Flash>, <Age at={changedAt(store, agent, real)} never="–" />, ...traffic(`real/${vip.name}/${real.name}`), ''
          ]} />
    </Panel>
  )
}

/** Of the target behind it: its latest transition. */
function changedAt (store: LiveStore, agent: string, { target }: Real): number | undefined {
  const found = target === undefined ? undefined : store.one(agent, 'target', target)
  return found?.history.at(-1)?.atMs ?? found?.sinceMs
}
