/**
 * The session table, searched by the agent: a page at a time, walked on from where the page before ended, however large the table is; or the first thousand in an order, which the agent
 * finds in a walk of all. Another search ends the one before.
 */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { age, count, endpoint, protocol, short } from './format.js'
import type { SessionPage } from './model.js'
import { classNames, Panel, Table, type Column } from './ui.js'

type Row = SessionPage['rows'][number]
const text = (row: Row, name: string): string => { const cell = row[name]; return typeof cell === 'object' ? cell.join(' ') : String(cell ?? '') }
const number = (row: Row, name: string): number => Number(row[name] ?? 0)

interface Shown { readonly label: string, readonly wide: number, readonly number?: boolean, readonly cell: (row: Row) => string, readonly sort: (row: Row) => string | number }
const all: Readonly<Record<string, Shown>> = {
  proto: { label: 'Proto', wide: 4, cell: row => protocol(number(row, 'proto')), sort: row => number(row, 'proto') },
  source: { label: 'Source', wide: 14, cell: row => endpoint(text(row, 'src'), number(row, 'sport')), sort: row => text(row, 'src') },
  destination: { label: 'Destination', wide: 14, cell: row => endpoint(text(row, 'dst'), number(row, 'dport')), sort: row => text(row, 'dst') },
  reply: { label: 'Answers from', wide: 14, cell: row => endpoint(text(row, 'reply_src'), number(row, 'reply_sport')), sort: row => text(row, 'reply_src') },
  translated: { label: 'Answers to', wide: 14, cell: row => endpoint(text(row, 'reply_dst'), number(row, 'reply_dport')), sort: row => text(row, 'reply_dst') },
  phase: { label: 'Phase', wide: 10, cell: row => text(row, 'phase'), sort: row => text(row, 'phase') },
  vip: { label: 'VIP', wide: 7, cell: row => text(row, 'vip'), sort: row => text(row, 'vip') }, real: { label: 'Real', wide: 8, cell: row => text(row, 'real'), sort: row => text(row, 'real') },
  zones: { label: 'Zones', wide: 11, cell: row => `${text(row, 'zone_in')} → ${text(row, 'zone_out')}`, sort: row => text(row, 'zone_in') }, policy: { label: 'Policy', wide: 8, cell: row => text(row, 'policy'), sort: row => text(row, 'policy') },
  app: { label: 'Application', wide: 7, cell: row => text(row, 'app'), sort: row => text(row, 'app') }, rg: { label: 'RG', wide: 3, number: true, cell: row => number(row, 'rg') === 255 ? '–' : text(row, 'rg'), sort: row => number(row, 'rg') }, flags: { label: 'Flags', wide: 9, cell: row => text(row, 'flags'), sort: row => text(row, 'flags') },
  packets: { label: 'Packets', wide: 8, number: true, cell: row => `${short(number(row, 'packets_forward'))} / ${short(number(row, 'packets_reply'))}`, sort: row => number(row, 'packets_forward') + number(row, 'packets_reply') },
  bytes: { label: 'Bytes', wide: 10, number: true, cell: row => `${short(number(row, 'bytes_forward'))} / ${short(number(row, 'bytes_reply'))}`, sort: row => number(row, 'bytes_forward') + number(row, 'bytes_reply') },
  idle: { label: 'Idle', wide: 5, number: true, cell: row => age(number(row, 'idle_ms')), sort: row => number(row, 'idle_ms') }, age: { label: 'Age', wide: 6, number: true, cell: row => age(number(row, 'age_ms')), sort: row => number(row, 'age_ms') },
  expires: { label: 'Expires', wide: 6, number: true, cell: row => age(number(row, 'expires_ms')), sort: row => number(row, 'expires_ms') }, id: { label: 'Id', wide: 17, cell: row => text(row, 'id'), sort: row => text(row, 'id') }
}
const usual = ['proto', 'source', 'destination', 'phase', 'vip', 'real', 'zones', 'bytes', 'idle', 'age']

interface Field { readonly name: string, readonly label: string, readonly hint: string, readonly choices?: readonly string[], readonly more?: boolean }
const fields: readonly Field[] = [
  { name: 'address', label: 'Any address', hint: '192.0.2.0/24' }, { name: 'port', label: 'Any port', hint: '443' }, { name: 'protocol', label: 'Protocol', hint: 'tcp' }, { name: 'vip', label: 'VIP', hint: 'web' }, { name: 'real', label: 'Real', hint: 'web/a' },
  { name: 'phases', label: 'Phase', hint: '', choices: ['TCP_SYN_SENT', 'TCP_SYN_RECV', 'TCP_ESTABLISHED', 'TCP_FIN_WAIT', 'TCP_CLOSE_WAIT', 'TCP_LAST_ACK', 'TCP_TIME_WAIT', 'TCP_CLOSE', 'UDP_NEW', 'UDP_STREAM', 'ICMP_ECHO', 'OTHER_NEW', 'OTHER_STREAM', 'HALF_NEW', 'HALF_STREAM', 'HALF_CLOSING'] },
  { name: 'source', label: 'Source', hint: '198.51.100.7', more: true }, { name: 'sourcePort', label: 'Source port', hint: '40000', more: true }, { name: 'destination', label: 'Destination', hint: '2001:db8::/32', more: true }, { name: 'destinationPort', label: 'Destination port', hint: '80', more: true },
  { name: 'family', label: 'Family', hint: '', choices: ['4', '6'], more: true }, { name: 'zoneIn', label: 'Zone in', hint: 'clients', more: true }, { name: 'zoneOut', label: 'Zone out', hint: 'servers', more: true }, { name: 'policy', label: 'Policy', hint: 'allow-web', more: true }, { name: 'app', label: 'Application', hint: 'any', more: true },
  { name: 'rg', label: 'Group', hint: '0', more: true }, { name: 'snat', label: 'Source translated', hint: '', choices: ['yes', 'no'], more: true }, { name: 'dnat', label: 'Destination translated', hint: '', choices: ['yes', 'no'], more: true }, { name: 'fromPeer', label: 'From the peer', hint: '', choices: ['yes', 'no'], more: true },
  { name: 'minIdleMs', label: 'Idle for, ms', hint: '30000', more: true }, { name: 'minAgeMs', label: 'At least so old, ms', hint: '60000', more: true }, { name: 'maxAgeMs', label: 'At most so old, ms', hint: '1000', more: true }, { name: 'id', label: 'Session id', hint: '32 digits', more: true }
]
const ROWS = 100
/** By these the agent orders all that match; by others the page orders what it has. */
const whole = ['bytes', 'packets', 'age', 'idle', 'expires'] as const
const isWhole = (by: string): boolean => (whole as readonly string[]).includes(by)

interface Answer { readonly page: SessionPage, readonly total: string, readonly problem: string, readonly asking: boolean }
const nothing: SessionPage = { rows: [], next: null, tookMs: 0 }

const ways = (name: string): JSX.Element[] => [['down', 'largest first'], ['up', 'smallest first']].map(([way, text]) => <option key={`${name} ${way}`} value={`${name} ${way}`}>{all[name]?.label}, {text}</option>)

export function Sessions ({ agents }: { readonly agents: readonly string[] }): JSX.Element {
  const [agent, setAgent] = useState(agents[0] ?? '')
  const [filter, setFilter] = useState<Readonly<Record<string, string>>>({})
  const [shown, setShown] = useState<readonly string[]>(usual)
  const [starts, setStarts] = useState<readonly number[]>([0])
  const [asked, setAsked] = useState(0)
  const [order, setOrder] = useState<{ readonly by: string, readonly down: boolean } | null>(null)
  const [answer, setAnswer] = useState<Answer>({ page: nothing, total: '', problem: '', asking: false })
  const sent = useRef<Readonly<Record<string, string>>>({})
  const of = agents.includes(agent) ? agent : agents[0] ?? ''
  const from = starts.at(-1) ?? 0

  useEffect(() => {
    const over = new AbortController()
    const query = new URLSearchParams({ ...sent.current, agent: of })
    const ordered = order !== null && isWhole(order.by) ? `&order=${order.by}&way=${order.down ? 'down' : 'up'}` : ''
    const get = async <T,>(path: string): Promise<T> => {
      const response = await fetch(path, { signal: over.signal, cache: 'no-store' })
      if (!response.ok) throw new Error((await response.text()).trim())
      return await response.json() as T
    }
    setAnswer(now => ({ ...now, asking: true, problem: '' }))
    get<SessionPage>(`/api/sessions?${query}&from=${from}&rows=${ROWS}${ordered}`).then(
      page => { setAnswer(now => ({ ...now, page, asking: false })) },
      (error: unknown) => { if (!over.signal.aborted) setAnswer({ page: nothing, total: '', asking: false, problem: error instanceof Error ? error.message : String(error) }) })
    if (from === 0) get<{ count: number }>(`/api/sessions/count?${query}`).then(({ count: n }) => { setAnswer(now => ({ ...now, total: count(n) })) }, () => undefined)
    return () => { over.abort() }
  }, [of, asked, from, order !== null && isWhole(order.by) ? `${order.by} ${order.down}` : ''])

  const search = (event: Event): void => {
    event.preventDefault()
    sent.current = Object.fromEntries(Object.entries(filter).flatMap(([name, value]): Array<[string, string]> => value.trim() === '' ? [] : [[name, value.trim()]]))
    setStarts([0])
    setAsked(asked + 1)
  }
  const input = ({ name, label, hint, choices }: Field): JSX.Element => (
    <label key={name}>{label} {choices === undefined
      ? <input value={filter[name] ?? ''} placeholder={hint} spellcheck={false} autocomplete="off" onInput={({ currentTarget }) => { setFilter({ ...filter, [name]: currentTarget.value }) }} />
      : <select value={filter[name] ?? ''} onChange={({ currentTarget }) => { setFilter({ ...filter, [name]: currentTarget.value }) }}><option value="">any</option>{choices.map(choice => <option key={choice}>{choice}</option>)}</select>}</label>
  )
  const reorder = (value: string): void => {
    const [name = '', way] = value.split(' ')
    if (isWhole(name) || (order !== null && isWhole(order.by))) setStarts([0])
    setOrder(name === '' ? null : { by: name, down: way === 'down' })
  }
  const { page, total, problem, asking } = answer
  const by = order === null || isWhole(order.by) ? undefined : all[order.by]
  const rows = by === undefined ? page.rows : [...page.rows].sort((a, b) => { const [x, y] = [by.sort(a), by.sort(b)]; return (x < y ? -1 : x > y ? 1 : 0) * (order?.down === true ? -1 : 1) })
  const columns = shown.flatMap((name): Column[] => { const one = all[name]; return one === undefined ? [] : [{ name, label: one.label, wide: one.wide, number: one.number === true }] })
  return (
    <>
      <form class="tools search" role="search" aria-label="Sessions" onSubmit={search}>
        {agents.length > 1 && <label>Agent <select value={of} onChange={({ currentTarget }) => { setAgent(currentTarget.value); setStarts([0]) }}>{agents.map(name => <option key={name}>{name}</option>)}</select></label>}
        {fields.filter(({ more }) => more !== true).map(input)}
        <button type="submit" class="main">Search</button>
        <details><summary>More conditions</summary><div class="fields">{fields.filter(({ more }) => more === true).map(input)}</div></details>
        <details><summary>Columns</summary><fieldset><legend class="hidden">Columns</legend>{Object.entries(all).map(([name, { label }]) => <label key={name} class="check"><input type="checkbox" checked={shown.includes(name)} onChange={({ currentTarget }) => { setShown(Object.keys(all).filter(one => one === name ? currentTarget.checked : shown.includes(one))) }} /> {label}</label>)}</fieldset></details>
      </form>
      <Panel title="Sessions" agent={of} note={<span class="faint" role="status">{asking ? 'walking the table …' : problem === '' ? `${total === '' ? '' : `${total} match; `}page ${starts.length}, ${count(page.rows.length)} rows in ${page.tookMs} ms` : ''}</span>}>
        {problem !== '' && <p class="state bad" role="alert">✕ {problem}</p>}
        <div class={classNames('results', asking && 'asking')}>
          <label class="sort">Order <select value={order === null ? '' : `${order.by} ${order.down ? 'down' : 'up'}`} onChange={({ currentTarget }) => { reorder(currentTarget.value) }}>
            <option value="">as in the table</option>
            <optgroup label="All that match, the first 1000">{whole.flatMap(ways)}</optgroup>
            <optgroup label="This page">{shown.filter(name => !isWhole(name)).flatMap(ways)}</optgroup></select></label>
          <Table<Row> caption={`Sessions of ${of}`} columns={columns} rows={rows} keyOf={row => text(row, 'id')} empty={asking ? '' : 'No session is like that.'} row={row => shown.map(name => { const one = all[name]; const cell = one?.cell(row) ?? ''; return <span title={cell}>{cell}</span> })} />
        </div>
        <div class="buttons"><button type="button" disabled={starts.length < 2 || asking} onClick={() => { setStarts(starts.slice(0, -1)) }}>Back</button>
          <button type="button" disabled={page.next === null || asking} onClick={() => { if (page.next !== null) setStarts([...starts, page.next]) }}>Next {ROWS}</button></div>
      </Panel>
    </>
  )
}
