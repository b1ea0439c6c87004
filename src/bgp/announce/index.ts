/**
 * Announces the addresses of VIPs through the routing daemon of this host: START HERE for src/bgp/announce. Level-triggered: whoever moves a redundancy group or hears of a real
 * says `changed`, and what follows is decided from what is then (routes.ts). Each place is kept by itself (keeping.ts), so one that hangs delays no other. Thread: main.
 */
import type { EventLevel } from '../../contract/balancing.js'
import type { BgpAnnounceSettings, BgpRoute, BgpRouteSink } from '../../contract/bgp-announce.js'
import type { BgpEvent } from '../events.js'
import { readAnnounced, writeAnnounced, type Announced } from './announce-file.js'
import { gobgpPaths } from './gobgp-paths.js'
import { kernelTable } from './kernel-table.js'
import { Keeping } from './keeping.js'
import type { Place } from './place.js'
import { decide, type AnnouncedVip, type Decision } from './routes.js'

export interface AnnounceOptions {
  /** As they are now. */
  readonly vips: () => Promise<readonly AnnouncedVip[]>
  /** This node owns the redundancy group. */
  readonly owns: () => (rg: number) => boolean
  /** Path of the network namespace of the kernel's table; empty = the agent's own. */
  readonly netns: string
  /** The state directory. */
  readonly directory: string
  readonly onEvent: (event: BgpEvent) => void
  readonly onProblem: (error: unknown) => void
  readonly places?: (settings: PlaceSettings) => readonly Place[]
}
type PlaceSettings = Pick<BgpAnnounceSettings, 'kernelTable' | 'gobgp'>

export class Announcing {
  private settings: BgpAnnounceSettings | null = null
  private readonly places = new Map<string, { readonly keeping: Keeping, readonly of: string }>()
  private decided: readonly Decision[] = []
  private remembered: Announced | null
  private turn: Promise<void> = Promise.resolve()
  private asked = false
  private first = true
  private passedAt = Infinity
  private timer: NodeJS.Timeout | null = null
  private closed = false

  constructor (private readonly o: AnnounceOptions) { this.remembered = readAnnounced(o.directory) }

  readonly routes = (): readonly BgpRoute[] => this.decided.map(({ servedAt: _, ...route }) => route)
  readonly sinks = (): readonly BgpRouteSink[] => [...this.places.values()].map(({ keeping }) => keeping.status)

  /** `null`: nothing is announced. A place that is no longer named is emptied. */
  configure (settings: BgpAnnounceSettings | null): void {
    this.inTurn(async () => {
      this.settings = settings
      const wanted = new Map((settings === null ? [] : this.placesOf(settings)).map(place => [place.name, { place, of: place.kind === 'gobgp' ? JSON.stringify(settings?.gobgp) : '' }]))
      const known = new Set(this.remembered?.prefixes)
      for (const [name, { keeping, of }] of [...this.places]) {
        const same = wanted.get(name)
        if (same?.of === of) continue
        await this.end(name, keeping, same === undefined)
      }
      if (this.first) await this.empty(wanted)
      this.first = false
      for (const [name, { place, of }] of wanted) if (!this.places.has(name)) this.places.set(name, { of, keeping: this.keep(place, known) })
      await this.pass()
    })
  }

  /** Something that routes follow from may have changed. */
  changed (): void {
    if (this.asked) return
    this.asked = true
    this.inTurn(async () => { await this.pass() })
  }

  /** `withdraw` false: what is announced stays, because what forwards stays. */
  async close (withdraw: boolean): Promise<void> {
    this.closed = true
    if (this.timer !== null) clearTimeout(this.timer)
    await this.turn
    for (const [name, { keeping }] of [...this.places]) await this.end(name, keeping, withdraw)
  }

  private inTurn (run: () => Promise<void>): void {
    this.turn = this.turn.then(async () => { if (!this.closed) await run() }).catch((error: unknown) => { this.o.onProblem(error) })
  }

  private placesOf ({ kernelTable: table, gobgp }: PlaceSettings): readonly Place[] {
    return this.o.places?.({ kernelTable: table, gobgp }) ?? [...table === null ? [] : [kernelTable(table, this.o.netns)], ...gobgp === null ? [] : [gobgpPaths(gobgp)]]
  }

  private keep (place: Place, known: ReadonlySet<string>): Keeping {
    const tell = (name: string, level: EventLevel, fields: BgpEvent['fields']): void => { this.o.onEvent({ name, level, object: place.name, fields }) }
    return new Keeping(place, known, {
      onState: (failed) => { if (failed === null) tell('routes-placed', 'info', {}); else tell('routes-failed', 'warn', { reason: failed }) },
      onRepaired: (added, removed) => { tell('routes-repaired', 'warn', { added, removed }) },
    })
  }

  private async end (name: string, keeping: Keeping, withdraw: boolean): Promise<void> {
    this.places.delete(name)
    await keeping.close(withdraw).catch((error: unknown) => { this.o.onProblem(error) })
  }

  /** What the agent before this one left in places that are not named any more. */
  private async empty (wanted: ReadonlyMap<string, unknown>): Promise<void> {
    const before = this.remembered
    if (before === null) return
    const left = this.placesOf({ kernelTable: before.kernelTable, gobgp: before.gobgp === null ? null : { address: before.gobgp, communities: [] } }).filter(({ name }) => !wanted.has(name))
    for (const place of left) await new Keeping(place, new Set(before.prefixes), { onState: () => undefined, onRepaired: () => undefined }).close(true).catch((error: unknown) => { this.o.onProblem(error) })
  }

  private async pass (): Promise<void> {
    this.asked = false
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    const { settings } = this
    if (settings === null) {
      this.decided = []
      await this.remember({ kernelTable: null, gobgp: null, prefixes: [] })
      return
    }
    const now = Date.now()
    const { routes, nextAt } = decide(await this.o.vips(), this.o.owns(), settings, this.decided, now)
    const had = new Map(this.decided.map(route => [route.prefix, route]))
    for (const { prefix, announced, reason } of routes) {
      const before = had.get(prefix)
      if (announced !== (before?.announced ?? false)) this.o.onEvent({ name: announced ? 'route-announced' : 'route-withdrawn', level: announced ? 'info' : 'warn', object: prefix, fields: { reason } })
    }
    for (const { prefix, announced } of this.decided) if (announced && !routes.some(route => route.prefix === prefix)) this.o.onEvent({ name: 'route-withdrawn', level: 'info', object: prefix, fields: { reason: 'no VIP has it' } })
    const settled = this.sinks().every(({ goodAt, failed }) => failed === null && goodAt !== null && goodAt > this.passedAt)
    const prefixes = new Set([...routes, ...this.decided].map(({ prefix }) => prefix).concat(settled ? [] : this.remembered?.prefixes ?? []))
    this.decided = routes
    this.passedAt = now
    // before anything is there that nobody would know of after a crash
    await this.remember({ kernelTable: settings.kernelTable, gobgp: settings.gobgp?.address ?? null, prefixes: [...prefixes].sort() })
    const wanted = routes.filter(({ announced }) => announced).map(({ prefix }) => prefix)
    for (const { keeping } of this.places.values()) keeping.want(wanted)
    if (nextAt !== null && !this.closed) {
      this.timer = setTimeout(() => { this.changed() }, Math.max(1, nextAt - now))
      this.timer.unref()
    }
  }

  private async remember (announced: Announced): Promise<void> {
    if (JSON.stringify(announced) === JSON.stringify(this.remembered ?? { kernelTable: null, gobgp: null, prefixes: [] })) return
    // a disk without room must not keep a route that another node announces by now
    await writeAnnounced(this.o.directory, announced).then(() => { this.remembered = announced }, (error: unknown) => { this.o.onProblem(error) })
  }
}
