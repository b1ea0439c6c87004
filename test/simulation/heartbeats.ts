/** Datagrams between two hearts on two paths: lost, late, out of order, doubled, replayed; each direction of each path can be cut for itself. */
import type { NodeStatus } from '../../src/ha/rg.js'
import type { Random } from './random.js'

export const paths = ['x', 'y'] as const
interface Datagram { readonly atMs: number, readonly to: number, readonly path: string, readonly status: NodeStatus }

export class Heartbeats {
  private queue: Datagram[] = []
  private readonly old: Datagram[][] = [[], []]
  private readonly cuts = new Set<string>()
  loss = 0
  doubled = 0
  jitterMs = 5
  /** When the last one that can be news left, to each node. */
  readonly sentMs = [-Infinity, -Infinity]
  /** When one of another life was replayed, to each node: who never heard of that life cannot tell that it is over. */
  readonly otherLifeMs = [-Infinity, -Infinity]

  private readonly newest: Array<NodeStatus | undefined> = []

  /** `arrive`: true when somebody took it. */
  constructor (private readonly random: Random, private readonly arrive: (to: number, path: string, status: NodeStatus) => boolean) {}

  private name (from: number, path: string): string { return `${from}${path}` }
  open (from: number): boolean { return paths.some((path) => !this.cuts.has(this.name(from, path))) }
  cut (from: number, path: string, on: boolean): void { this.cuts[on ? 'add' : 'delete'](this.name(from, path)) }
  heal (): void { this.cuts.clear() }

  send (from: number, status: NodeStatus, nowMs: number): void {
    const to = 1 - from
    const kept = this.old[from]
    if (kept !== undefined) kept.splice(0, kept.push({ atMs: 0, to, path: 'x', status }) - 200)
    for (const path of paths) {
      if (this.cuts.has(this.name(from, path))) continue
      this.sentMs[to] = nowMs
      if (this.random.chance(this.loss)) continue
      for (let copies = this.random.chance(this.doubled) ? 2 : 1; copies > 0; copies--) this.queue.push({ atMs: nowMs + 0.5 + this.random.next() * (this.random.chance(0.02) ? 400 : this.jitterMs), to, path, status })
    }
  }

  /** An old one, the nth to last, is sent again by somebody who kept it. */
  replay (from: number, path: string, nth: number, nowMs: number): void {
    const old = this.old[from]?.at(-1 - nth)
    if (old !== undefined && this.isNews(old)) this.sentMs[old.to] = nowMs
    if (old !== undefined && old.status.bootId !== this.newest[old.to]?.bootId) this.otherLifeMs[old.to] = nowMs
    if (old !== undefined) this.queue.push({ ...old, path, atMs: nowMs + 1 })
  }

  /** An agent that starts has heard nobody: to it any heartbeat is news (a known limit, docs/design/0011-ownership.md). */
  forget (to: number): void { this.newest[to] = undefined }

  private isNews ({ to, status }: Datagram): boolean {
    const newest = this.newest[to]
    return newest === undefined || newest.bootId !== status.bootId || newest.seq < status.seq
  }

  deliver (nowMs: number): void {
    const due = this.queue.filter((d) => d.atMs <= nowMs).sort((a, b) => a.atMs - b.atMs)
    if (due.length === 0) return
    this.queue = this.queue.filter((d) => d.atMs > nowMs)
    for (const d of due) {
      const news = this.isNews(d)
      if (this.arrive(d.to, d.path, d.status) && news) this.newest[d.to] = d.status
    }
  }
}
