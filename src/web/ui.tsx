/** Small parts that every view is made of: states, ages, what flashes when it changes, tables of which only the visible rows exist. */
import { createContext, type ComponentChildren, type JSX, type RefObject } from 'preact'
import { useContext, useEffect, useLayoutEffect, useReducer, useRef, useState } from 'preact/hooks'
import { age, count } from './format.js'
import type { DriftCheck } from './drift.js'
import { CounterRates } from './counter-rates.js'
import { Feed, type Reading } from './feed.js'
import type { ClusterStatus, Counters, ObjectOf, Routes, Target, WhoAmI } from './model.js'
import type { LiveStore } from './store.js'
import type { Stream } from './stream.js'

export class Page {
  me: WhoAmI | null = null
  private readonly feeds = new Map<string, { readonly feed: Feed<unknown>, readonly rates: CounterRates }>()

  constructor (readonly store: LiveStore, readonly stream: Stream, readonly drift: DriftCheck) {}

  feed (agent: string, of: string): { readonly feed: Feed<unknown>, readonly rates: CounterRates } {
    const key = `${of} ${agent}`
    let one = this.feeds.get(key)
    if (one === undefined) {
      const rates = new CounterRates()
      const take = of === 'counters' || of === 'totals' ? (value: unknown) => { rates.take(value as Counters) } : undefined
      one = { feed: new Feed<unknown>(`/api/readings?of=${of}&agent=${encodeURIComponent(agent)}`, this.store, take), rates }
      this.feeds.set(key, one)
    }
    return one
  }

  /** The gateway is back: readings are asked for anew. */
  again (): void { for (const { feed } of this.feeds.values()) feed.again() }

  /** Unix ms of the gateway. */
  now (): number { return Date.now() + this.store.skewMs }
}

export const PageContext = createContext<Page>(null as never)
export const usePage = (): Page => useContext(PageContext)

/** Renders anew in the next frame after something changed. */
export function useStore (): LiveStore {
  const { store } = usePage()
  const [, render] = useReducer((n: number) => n + 1, 0)
  useLayoutEffect(() => store.subscribe(() => { render(null) }), [store])
  return store
}

interface Readings { readonly info: ObjectOf<'agent'>, readonly counters: Counters, readonly totals: Counters, readonly checks: readonly Target[], readonly routes: Routes, readonly cluster: ClusterStatus | null }
/** Asked for while the component is there. */
export function useFeed<K extends keyof Readings> (agent: string, of: K): { readonly feed: Feed<Readings[K]>, readonly rates: CounterRates } {
  const page = usePage()
  const one = page.feed(agent, of)
  useEffect(() => one.feed.use(), [one])
  return one as { readonly feed: Feed<Readings[K]>, readonly rates: CounterRates }
}

const tones: Readonly<Record<string, string>> = {
  up: 'good', running: 'good', serving: 'good', announced: 'good', owner: 'good', alive: 'good', ok: 'good', equal: 'good', live: 'good', ready: 'good',
  degraded: 'warn', panic: 'warn', unconfirmed: 'warn', suspect: 'warn', yield: 'warn', take: 'warn', hello: 'warn', differs: 'warn', starting: 'warn', connecting: 'warn', repairing: 'warn', comparing: 'warn', bulk: 'warn', drained: 'warn', paused: 'warn', 'weight-0': 'warn', hold: 'warn', init: 'warn', warn: 'warn', waiting: 'warn',
  down: 'bad', lost: 'bad', stopping: 'bad', refused: 'bad', fails: 'bad', failed: 'bad', error: 'bad', disabled: 'bad', unreachable: 'bad', 'rolled-back': 'bad', 'not ready': 'bad'
}
const marks: Readonly<Record<string, string>> = { good: '●', warn: '▲', bad: '✕', calm: '○' }
export const toneOf = (word: string): string => tones[word] ?? 'calm'

/** A word, never its colour alone. */
export function State ({ word, title }: { readonly word: string, readonly title?: string | undefined }): JSX.Element {
  const tone = toneOf(word)
  return <span class={`state ${tone}`} title={title}><span aria-hidden="true">{marks[tone]}</span> <Flash value={word}>{word}</Flash></span>
}

const still = window.matchMedia('(prefers-reduced-motion: reduce)')
/** Lights up for a moment when the value is another one. */
export function Flash ({ value, children }: { readonly value: unknown, readonly children: ComponentChildren }): JSX.Element {
  const element = useRef<HTMLSpanElement>(null)
  const before = useRef<unknown>(undefined)
  useLayoutEffect(() => {
    if (before.current !== undefined && before.current !== value && !still.matches) element.current?.animate([{ backgroundColor: 'var(--flash)' }, { backgroundColor: 'transparent' }], { duration: 1600, easing: 'ease-out' })
    before.current = value
  }, [value])
  return <span class="flash" ref={element}>{children}</span>
}

const ticks = new Set<() => void>()
setInterval(() => { if (document.visibilityState === 'visible') for (const tick of [...ticks]) tick() }, 1000)
export function useTick (): void {
  const [, render] = useReducer((n: number) => n + 1, 0)
  useEffect(() => {
    const tick = (): void => { render(null) }
    ticks.add(tick)
    return () => { ticks.delete(tick) }
  }, [])
}

/** How long ago; 0: never. */
export function Age ({ at, never = 'never' }: { readonly at: number | undefined, readonly never?: string }): JSX.Element {
  useTick()
  const page = usePage()
  if (at === undefined || at === 0) return <span class="faint">{never}</span>
  return <time dateTime={new Date(at).toISOString()} title={new Date(at).toLocaleString()}>{age(page.now() - at)}</time>
}

/** How old a reading is, once it is older than it should be; why there is none. */
export function Freshness ({ reading: { at, problem } }: { readonly reading: Reading<unknown> }): JSX.Element | null {
  useTick()
  const page = usePage()
  if (at === 0) return problem === '' ? <span class="faint">asking …</span> : <span class="state bad">✕ {problem}</span>
  const old = page.now() - at
  return old < 6000 && problem === '' ? null : <span class="state warn" title={problem}>▲ readings are <Age at={at} /> old</span>
}

/** Of a table body with rows of one height: those in sight, and some around them. A short one is whole. */
export function useWindow (body: RefObject<HTMLTableSectionElement>, rows: number, height: number): readonly [number, number] {
  const [range, setRange] = useState<readonly [number, number]>([0, 80])
  useLayoutEffect(() => {
    let frame = 0
    const look = (): void => {
      frame = 0
      const top = body.current?.getBoundingClientRect().top ?? 0
      const from = Math.max(0, Math.floor(-top / height / 10) * 10 - 20)
      const to = from + Math.ceil(window.innerHeight / height / 10) * 10 + 50
      setRange(now => now[0] === from && now[1] === to ? now : [from, to])
    }
    const soon = (): void => { if (frame === 0) frame = requestAnimationFrame(look) }
    look()
    window.addEventListener('scroll', soon, { passive: true })
    window.addEventListener('resize', soon, { passive: true })
    return () => {
      cancelAnimationFrame(frame)
      window.removeEventListener('scroll', soon)
      window.removeEventListener('resize', soon)
    }
  }, [body, height])
  const from = Math.min(range[0], Math.max(0, rows - (range[1] - range[0])))
  return rows <= 120 ? [0, rows] : [from, Math.min(rows, range[1])]
}

export interface Column {
  readonly name: string
  readonly label?: string
  readonly number?: boolean
  /** rem */
  readonly wide?: number
  /** Left out where there is little room: on a tablet, or on a phone only. */
  readonly minor?: boolean
  readonly tiny?: boolean
}

export const ROW_PX = 30

/** `row`: cells for a row, in the order of the columns. Rows out of sight are two empty ones of their height; screen readers are told how many there are. */
export function Table<R> ({ caption, columns, rows, keyOf, row, classOf, empty }: {
  readonly caption: string, readonly columns: readonly Column[], readonly rows: readonly R[], readonly keyOf: (row: R) => string, readonly row: (row: R) => ReadonlyArray<ComponentChildren>
  readonly classOf?: (row: R) => string, readonly empty: string
}): JSX.Element {
  const body = useRef<HTMLTableSectionElement>(null)
  const [from, to] = useWindow(body, rows.length, ROW_PX)
  return (
    <div class="scroll">
      <table aria-rowcount={rows.length + 1}>
        <caption class="hidden">{caption}</caption>
        <colgroup>{columns.map(({ name, wide, minor, tiny }) => <col key={name} class={classNames(wide !== undefined && wide >= 10 && 'roomy', minor === true && 'minor', tiny === true && 'tiny')} style={wide === undefined ? undefined : { width: `${wide}rem` }} />)}</colgroup>
        <thead><tr aria-rowindex={1}>{columns.map(({ name, label, number, minor, tiny }) => <th key={name} scope="col" class={classNames(number === true && 'number', minor === true && 'minor', tiny === true && 'tiny')}>{label ?? name}</th>)}</tr></thead>
        <tbody ref={body}>
          {from > 0 && <tr key="(above)" aria-hidden="true" style={{ height: `${from * ROW_PX}px` }}><td colSpan={columns.length} /></tr>}
          {rows.slice(from, to).map((one, i) => (
            <tr key={keyOf(one)} aria-rowindex={from + i + 2} class={classOf?.(one)}>
              {row(one).map((cell, c) => {
                const column = columns[c]
                return c === 0 ? <th key={column?.name} scope="row">{cell}</th> : <td key={column?.name} class={classNames(column?.number === true && 'number', column?.minor === true && 'minor', column?.tiny === true && 'tiny')}>{cell}</td>
              })}
            </tr>
          ))}
          {to < rows.length && <tr key="(below)" aria-hidden="true" style={{ height: `${(rows.length - to) * ROW_PX}px` }}><td colSpan={columns.length} /></tr>}
          {rows.length === 0 && <tr key="(none)"><td class="faint" colSpan={columns.length}>{empty}</td></tr>}
        </tbody>
      </table>
    </div>
  )
}

export const classNames = (...names: ReadonlyArray<string | false>): string | undefined => names.filter(name => name !== false).join(' ') || undefined

/** The latest values as a line, for the eye; the number stands beside it. */
export function Spark ({ values, wide = 84 }: { readonly values: ReadonlyArray<number | null> | undefined, readonly wide?: number }): JSX.Element {
  const high = 18
  const most = Math.max(1e-9, ...(values ?? []).map(value => value ?? 0))
  const step = wide / Math.max(1, (values?.length ?? 1) - 1)
  let pen = 'M'
  const path = (values ?? []).map((value, i) => {
    if (value === null) { pen = 'M'; return '' }
    const to = `${pen}${(i * step).toFixed(1)} ${(high - 1 - value / most * (high - 2)).toFixed(1)}`
    pen = 'L'
    return to
  }).join('')
  return <svg class="spark" width={wide} height={high} viewBox={`0 0 ${wide} ${high}`} aria-hidden="true"><path d={path === '' ? `M0 ${high - 1}` : path} /></svg>
}

export function Panel ({ title, note, children, agent }: { readonly title: string, readonly note?: ComponentChildren, readonly agent?: string, readonly children: ComponentChildren }): JSX.Element {
  const { store } = usePage()
  const view = agent === undefined ? undefined : store.agents.get(agent)
  const id = `panel-${title}-${agent ?? ''}`.replaceAll(/\W+/g, '-')
  return (
    <section class={classNames('panel', view?.connected === false && 'stale')} aria-labelledby={id}>
      <header><h2 id={id}>{agent !== undefined && <span class="agent">{agent}</span>}{title}</h2>
        {view?.connected === false && <span class="state bad">✕ not reached; as it was <Age at={view.contactAt} /> ago</span>}{note}</header>
      {children}
    </section>
  )
}

export const Plural = ({ n, one, many = `${one}s` }: { readonly n: number, readonly one: string, readonly many?: string }): JSX.Element => <>{count(n)} {n === 1 ? one : many}</>
