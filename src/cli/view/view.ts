/** Objects of some kinds as one screen that follows them: what changed is marked for a moment, ages count on, and when the agent is not reached it says so and how old the rest is. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createColors } from 'picocolors'
import { mirror, WatchRefused, type Kind, type ObjectOf, type ObjectsConnection, type Store } from '../../client/index.js'
import { LockstepError } from '../../contract/errors.js'
import { withAgent, withObjects, type LinkOptions } from '../agent-link.js'
import { call } from '../client.js'
import { exitCode } from '../exit-codes.js'
import { duration, printable, time } from '../format.js'
import type { CliIo } from '../io.js'
import { drawable, Screen, type Key } from './screen.js'
import { sections, type SectionStyle } from './sections.js'
import { readTraffic, trafficLine, type Reading } from './traffic.js'

/** A cell that changed is marked for so long. */
const MARK_MS = 3000
const TICK_MS = 1000
/** Changes that come together are drawn together. */
const GATHER_MS = 100
/** From one reading of counters to the next. */
const READ_MS = 2000
const backoff = { leastMs: 100, mostMs: 2000, healthyMs: 2000 }

export interface ViewOptions extends LinkOptions { readonly for?: number }

export interface Viewed {
  readonly title: string
  readonly kinds: readonly Kind[]
  /** Of the one kind; none: all. */
  readonly keys?: readonly string[]
  /** With a line of what goes through. */
  readonly traffic?: boolean
}

/** What a view has of a kind. */
export interface Followed { readonly store: Store<unknown>, readonly lines: (style: SectionStyle) => string[] }

export function follow<K extends Kind> (objects: ObjectsConnection, kind: K, keys: readonly string[] = []): Followed {
  const store = mirror(objects.open(kind, keys), { backoff })
  return { store, lines: (style) => sections[kind](store.current() as ReadonlyMap<string, ObjectOf<K>>, { ...style, paint: (padded, key, text) => style.paint(padded, `${kind} ${key}`, text) }) }
}

/** Ends with q, Ctrl-C, a signal or its time. @throws unsupported without a terminal; unreachable when there is no agent at the beginning */
export async function view (io: CliIo, options: ViewOptions, { title, kinds, keys = [], traffic = false }: Viewed): Promise<number> {
  const terminal = drawable(io)
  const { node } = await withAgent(io, options, async ({ agent }) => await call(agent, agent.getInfo, {}))
  return await withObjects(io, options, async (objects) => {
    const parts = kinds.map(kind => follow(objects, kind, keys))
    const over = new AbortController()
    const ending = AbortSignal.any([io.signal, over.signal, ...options.for === undefined ? [] : [AbortSignal.timeout(options.for)]])
    const page = new Page(`${title}  ${printable(node)}`, parts, io.color)
    let news = false
    let onNews = (): void => { /* nobody waits */ }
    const wake = (): void => {
      news = true
      onNews()
    }
    ending.addEventListener('abort', wake, { once: true })
    const screen = new Screen(terminal, (key) => {
      if (key === 'quit') over.abort()
      else page.move(key, screen.rows)
      wake()
    })
    const release = io.onInterrupt(() => { over.abort() })
    const reading = traffic ? readOn({ ...io, signal: ending }, options, page) : null
    screen.start()
    try {
      for (const { store } of parts) store.subscribe(wake)
      while (!ending.aborted) {
        for (const { store } of parts) if (store.error !== null) throw refused(store.error)
        news = false
        screen.draw(page.lines(screen.rows, screen.columns, Date.now()))
        await sleep(GATHER_MS)
        if (news) continue
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, TICK_MS - GATHER_MS)
          onNews = () => { clearTimeout(timer); resolve() }
        })
      }
      return exitCode.ok
    } finally {
      screen.stop()
      release()
      over.abort()
      await reading
      await Promise.all(parts.map(async ({ store }) => { await store.close() }))
    }
  })
}

/** Until the signal of `io`; what cannot be read is told by the rest of the view. */
async function readOn (io: CliIo, options: LinkOptions, page: Page): Promise<void> {
  let before: Reading | null = null
  while (!io.signal.aborted) {
    const now: Reading | null = await readTraffic(io, options).catch(() => null)
    if (now !== null) page.traffic = trafficLine(before, now)
    before = now ?? before
    await sleep(READ_MS, undefined, { signal: io.signal }).catch(() => undefined)
  }
}

const refused = (error: unknown): unknown => error instanceof WatchRefused ? new LockstepError('invalid', 'LS_R_REFUSED', 'the agent refuses this view', { found: error.message }) : error

/** The text of the screen, of which a part is shown. */
export class Page {
  /** Between the head and the objects; '': nothing. */
  traffic = ''
  private cells = new Map<string, { readonly text: string, readonly atMs: number }>()
  private drawn = false
  private from = 0
  private rows = 0
  private liveMs: number | null = null

  constructor (private readonly title: string, private readonly parts: readonly Followed[], private readonly color: boolean) {}

  move (key: Key | null, screenRows: number): void {
    const by = { up: -1, down: 1, 'page-up': -(screenRows - 3), 'page-down': screenRows - 3, top: -Infinity, quit: 0 }[key ?? 'quit']
    this.from = Math.max(0, Math.min(this.from + by, this.rows - (screenRows - 3)))
  }

  lines (screenRows: number, columns: number, nowMs: number): string[] {
    const c = createColors(this.color)
    const cells = new Map<string, { readonly text: string, readonly atMs: number }>()
    const paint = (padded: string, key: string, text: string): string => {
      const before = this.cells.get(key)
      const cell = before?.text === text ? before : { text, atMs: before === undefined && !this.drawn ? -Infinity : nowMs }
      cells.set(key, cell)
      return nowMs - cell.atMs < MARK_MS ? c.inverse(padded) : padded
    }
    const body = this.parts.filter(({ store }) => store.current().size > 0).flatMap(({ lines }, i) => [...i === 0 ? [] : [''], ...lines({ width: columns, color: this.color, nowMs, paint })])
    const synced = this.parts.every(({ store }) => store.synced)
    if (synced) this.drawn = true
    this.cells = cells
    this.rows = body.length
    const room = Math.max(1, screenRows - 3)
    this.from = Math.max(0, Math.min(this.from, body.length - room))
    const below = body.length - this.from - room
    const more = [...this.from > 0 ? [`${this.from} lines above`] : [], ...below > 0 ? [`${below} lines below`] : []]
    const fit = (text: string): string => text.slice(0, columns)
    const shown = synced && body.length === 0 ? ['there is none'] : body.slice(this.from, this.from + room)
    return [this.head(columns, nowMs, c), fit(this.traffic), ...shown, ...Array<string>(Math.max(0, room - shown.length)).fill(''), c.dim(fit(['q ends', ...more].join(', ')))]
  }

  /** Live, or since when not and why. */
  private head (columns: number, nowMs: number, c: ReturnType<typeof createColors>): string {
    const away = this.parts.map(({ store }) => store.status()).find(({ state }) => state !== 'live')
    if (away === undefined) this.liveMs = nowMs
    const start = `${this.title}  ${time(nowMs).slice(11)}  `
    const state = away === undefined ? 'live' : this.liveMs === null ? 'connecting' : `AGENT NOT REACHED, this is ${duration(nowMs - this.liveMs)} old${away.problem === '' ? '' : `: ${printable(away.problem)}`}`
    const fits = state.slice(0, Math.max(0, columns - start.length))
    return c.bold(start.slice(0, columns)) + (away === undefined ? c.green(fits) : c.red(fits))
  }
}
