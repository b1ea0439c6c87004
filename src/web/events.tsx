/** What happens, newest first: of some areas and levels, with some text, marked where it matters, and still while one reads. */
import type { JSX } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { clock, count, dateTime, fieldsText } from './format.js'
import type { Happening } from './model.js'
import { classNames, Panel, State, useStore } from './ui.js'

const SHOWN_MAX = 400
const levels = ['info', 'warn', 'error'] as const
const areas = ['agent', 'config', 'cluster', 'load-balancer', 'bgp', 'audit'] as const

export function Events ({ agents }: { readonly agents: readonly string[] }): JSX.Element {
  const store = useStore()
  const [level, setLevel] = useState<string>('info')
  const [off, setOff] = useState<ReadonlySet<string>>(new Set())
  const [text, setText] = useState('')
  const [mark, setMark] = useState('')
  const [paused, setPaused] = useState<readonly Happening[] | null>(null)
  const least = levels.indexOf(level as typeof levels[number])
  const words = text.toLowerCase()
  const of = (list: readonly Happening[]): Happening[] => list.filter(event => agents.includes(event.agent) && levels.indexOf(event.level as typeof levels[number]) >= least && !off.has(event.area) && (words === '' || lineOf(event).includes(words)))
  const found = of(paused ?? store.tail)
  const last = paused?.at(-1)
  const since = paused === null ? 0 : of(last === undefined ? store.tail : store.tail.slice(store.tail.lastIndexOf(last) + 1)).length
  const marked = mark.toLowerCase()
  return (
    <>
      <form class="tools" role="search" aria-label="Events" onSubmit={(event) => { event.preventDefault() }}>
        <button type="button" aria-pressed={paused !== null} onClick={() => { setPaused(paused === null ? [...store.tail] : null) }}>{paused === null ? 'Pause' : `Go on${since === 0 ? '' : `, ${count(since)} more`}`}</button>
        <label>Level <select value={level} onChange={({ currentTarget }) => { setLevel(currentTarget.value) }}>{levels.map(one => <option key={one} value={one}>{one === 'error' ? 'error' : `${one} and above`}</option>)}</select></label>
        <fieldset><legend class="hidden">Areas</legend>{areas.map(area => <label key={area} class="check"><input type="checkbox" checked={!off.has(area)} onChange={({ currentTarget }) => { setOff(new Set(currentTarget.checked ? [...off].filter(one => one !== area) : [...off, area])) }} /> {area}</label>)}</fieldset>
        <label>With <input type="search" value={text} placeholder="text" onInput={({ currentTarget }) => { setText(currentTarget.value) }} /></label>
        <label>Mark <input type="search" value={mark} placeholder="text" onInput={({ currentTarget }) => { setMark(currentTarget.value) }} /></label>
      </form>
      <Panel title="Events" note={<span class="faint">{count(found.length)} of the latest {count((paused ?? store.tail).length)}{found.length > SHOWN_MAX ? `, ${SHOWN_MAX} shown` : ''}</span>}>
        <Happenings events={found.slice(-SHOWN_MAX).reverse()} mark={event => marked !== '' && lineOf(event).includes(marked)} />
      </Panel>
    </>
  )
}

const lineOf = ({ agent, area, event, level, object, fields }: Happening): string => `${agent} ${area} ${event} ${level} ${object} ${fieldsText(fields)}`.toLowerCase()

export function Happenings ({ events, mark = () => false, brief = false }: { readonly events: readonly Happening[], readonly mark?: (event: Happening) => boolean, readonly brief?: boolean }): JSX.Element {
  const first = useRef(Date.now())
  if (events.length === 0) return <p class="empty">Nothing happened, as far as is known here.</p>
  return (
    <ol class={classNames('events', brief && 'brief')} reversed>
      {events.map(event => (
        <li key={`${event.agent} ${event.id}`} class={classNames(event.level, mark(event) && 'marked', event.at > first.current && 'fresh')} data-id={`${event.agent} ${event.id}`}>
          <time dateTime={new Date(event.at).toISOString()} title={dateTime(event.at)}>{clock(event.at)}</time> <span class="agent">{event.agent}</span> {event.level === 'info' ? <span class="state calm">{event.area}</span> : <State word={event.level} title={event.area} />}
          {' '}<b>{event.event}</b> <span>{event.object}</span> <span class="faint">{fieldsText(event.fields)}</span>
        </li>
      ))}
    </ol>
  )
}
