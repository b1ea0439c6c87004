/** bgp neighbours, sources, routes, sinks, pending, watch: sessions of the routing daemons of this host. */
import type { Command } from 'commander'
import type { BgpNeighbour, BgpPending, BgpRoute, BgpRouteSink, BgpSink, BgpSource } from '../../generated/proto/lockstep/v1/bgp.js'
import { withAgent, type LinkOptions } from '../agent-link.js'
import { call, type AgentConnection } from '../client.js'
import { exitCode } from '../exit-codes.js'
import { count, duration } from '../format.js'
import { table, type TableColumn } from '../table.js'
import { action, listVerb, onlineVerb, printList, type Cli, type ListOptions } from '../verb.js'
import { view } from '../view/view.js'
import { addWatchOptions, viewOption, type WatchOptions } from '../watching.js'
import { wholeList } from '../whole-list.js'
import { age, neighbourColumns, stateWord } from './bgp-columns.js'
import { watch } from './watch.js'

const sourceColumns = (nowMs: number): ReadonlyArray<TableColumn<BgpSource>> => [
  { title: 'SOURCE', value: s => s.scope }, { title: 'KIND', value: s => s.kind }, { title: 'STATE', value: s => s.failed === '' ? 'answers' : 'fails' }, { title: 'NEIGHBOURS', value: s => count(s.neighbours), align: 'right' }, { title: 'READ', value: s => age(nowMs, s.goodAtMs), align: 'right' },
  { title: 'TOOK', value: s => s.tookMs === undefined ? '-' : `${s.tookMs.toFixed(1)} ms`, align: 'right', drop: 2 }, { title: 'FAILED', value: s => String(s.readingsFailed), align: 'right', drop: 1 }, { title: 'REASON', value: s => s.failed }
]

const pendingColumns = (nowMs: number): ReadonlyArray<TableColumn<BgpPending>> => [
  { title: 'SINK', value: p => p.sink }, { title: 'SUBJECT', value: p => p.subject }, { title: 'STATE', value: p => stateWord(p.state) }, { title: 'CAUSE', value: p => p.cause }, { title: 'STAGE', value: p => p.stage }, { title: 'QUEUED', value: p => age(nowMs, p.queuedAtMs), align: 'right' },
  { title: 'ATTEMPTS', value: p => String(p.attempts), align: 'right' }, { title: 'RETRY', value: p => p.retryAtMs === undefined ? '-' : duration(Math.max(0, Number(p.retryAtMs) - nowMs)), align: 'right' }, { title: 'ERROR', value: p => p.lastError ?? '' }
]

const sinkColumns = (nowMs: number): ReadonlyArray<TableColumn<BgpSink>> => [
  { title: 'SINK', value: s => s.name }, { title: 'KIND', value: s => s.kind }, { title: 'STAGE', value: s => s.stage }, { title: 'SUBJECTS', value: s => count(s.subjects), align: 'right' }, { title: 'QUEUED', value: s => count(s.queued), align: 'right' },
  { title: 'OUT', value: s => count(s.out), align: 'right' }, { title: 'LANDED', value: s => age(nowMs, s.lastLandedAtMs), align: 'right' }, { title: 'ERROR', value: s => s.lastError }
]

const routeColumns = (nowMs: number): ReadonlyArray<TableColumn<BgpRoute>> => [
  { title: 'PREFIX', value: r => r.prefix }, { title: 'STATE', value: r => r.announced ? 'announced' : 'withdrawn' }, { title: 'SINCE', value: r => age(nowMs, r.sinceMs), align: 'right' }, { title: 'VIPS', value: r => r.vips.join(' ') }, { title: 'REASON', value: r => r.reason }
]

const routeSinkColumns = (nowMs: number): ReadonlyArray<TableColumn<BgpRouteSink>> => [
  { title: 'PLACE', value: s => s.name }, { title: 'STATE', value: s => s.failed !== '' ? 'fails' : s.goodAtMs === undefined ? 'starting' : 'as it should be' }, { title: 'LOOKED', value: s => age(nowMs, s.goodAtMs), align: 'right' },
  { title: 'ADDED', value: s => count(s.added), align: 'right' }, { title: 'REMOVED', value: s => count(s.removed), align: 'right' }, { title: 'REASON', value: s => s.failed }
]

const plainState = <T extends { readonly state: string }>(row: T): T => ({ ...row, state: stateWord(row.state) })

/** All pages. */
async function neighbours ({ bgp }: AgentConnection, vrf: string, peer: string): Promise<BgpNeighbour[]> {
  const found: BgpNeighbour[] = []
  for (let after = ''; ;) {
    const { neighbours: some, next } = await call(bgp, bgp.listNeighbours, { vrf, peer, after, limit: 0 })
    found.push(...some)
    if (next === '') return found
    after = next
  }
}

export function addBgp (parent: Command, cli: Cli): void {
  const bgp = parent.command('bgp').summary('BGP sessions of the routing daemons here').description('What the routing daemons of this host say of their neighbours, over their restarts: up, down, or unknown where nobody can say.')
  listVerb(bgp, {
    usage: 'neighbours [peer]', summary: 'Show sessions, since when, and how often they ended', about: 'SINCE and FLAPS are counted by the agent, over restarts of a daemon. unknown: who tells of it has not answered for the maximum age; it may be up.',
    examples: ['bgp neighbours', 'bgp neighbours 192.0.2.1 --vrf blue', 'bgp neighbours --json']
  }).option('--vrf <name>', 'of this VRF')
    .action(action(cli, async (peer: string | undefined, options: ListOptions & { readonly vrf?: string }) => {
      const rows = await withAgent(cli.io, options, async a => await neighbours(a, options.vrf ?? '', peer ?? ''))
      await printList(cli.io, options, rows.map(plainState), () => rows.length === 0 ? 'no neighbour is known: `bgp sources` says where they are read\n' : table<BgpNeighbour>(neighbourColumns(Date.now()), rows, cli.io))
      return exitCode.ok
    }))
  listVerb(bgp, { usage: 'sources', summary: 'Show where sessions are read, and whether it answers', examples: ['bgp sources', 'bgp sources --json'] })
    .action(action(cli, async (options: ListOptions & LinkOptions) => {
      const { sources } = await withAgent(cli.io, options, async a => await wholeList('sources', async listing => await call(a.bgp, a.bgp.listSources, { listing })))
      await printList(cli.io, options, sources, () => sources.length === 0 ? 'nothing is read: section `bgp` of the configuration names sources\n' : table<BgpSource>(sourceColumns(Date.now()), sources, cli.io))
      return exitCode.ok
    }))
  listVerb(bgp, {
    usage: 'routes', summary: 'Show which VIPs the routing daemon is given to announce, and why', about: 'A route is there while this node owns the redundancy group of the VIP and a real serves: section `bgp.announce` of the configuration.',
    examples: ['bgp routes', 'bgp routes --json']
  }).action(action(cli, async (options: ListOptions & LinkOptions) => {
    const { routes, sinks } = await withAgent(cli.io, options, async a => await wholeList('routes', async listing => await call(a.bgp, a.bgp.listRoutes, { listing })))
    await printList(cli.io, options, routes, () => sinks.length === 0 ? 'nothing is announced: section `bgp.announce` of the configuration says where\n' : `${table<BgpRoute>(routeColumns(Date.now()), routes, cli.io)}\n${table<BgpRouteSink>(routeSinkColumns(Date.now()), sinks, cli.io)}`)
    return exitCode.ok
  }))
  listVerb(bgp, { usage: 'sinks', summary: 'Show where reports go, and whether they arrive', examples: ['bgp sinks', 'bgp sinks --json'] })
    .action(action(cli, async (options: ListOptions & LinkOptions) => {
      const { sinks } = await withAgent(cli.io, options, async a => await wholeList('sinks', async listing => await call(a.bgp, a.bgp.listSinks, { listing })))
      await printList(cli.io, options, sinks, () => sinks.length === 0 ? 'nobody is told: section `bgp.report` of the configuration names sinks\n' : table<BgpSink>(sinkColumns(Date.now()), sinks, cli.io))
      return exitCode.ok
    }))
  listVerb(bgp, { usage: 'pending', summary: 'Show reports on their way to a sink', examples: ['bgp pending', 'bgp pending --output jsonl'] })
    .action(action(cli, async (options: ListOptions & LinkOptions) => {
      const { pending } = await withAgent(cli.io, options, async a => await wholeList('pending', async listing => await call(a.bgp, a.bgp.listPending, { listing })))
      await printList(cli.io, options, pending.map(plainState), () => pending.length === 0 ? 'nothing waits\n' : table<BgpPending>(pendingColumns(Date.now()), pending, cli.io))
      return exitCode.ok
    }))
  addWatchOptions(onlineVerb(bgp, { usage: 'watch', summary: 'Show sessions, then every change of them', about: 'The same as `watch bgp`. Ends with Ctrl-C.', examples: ['bgp watch', 'bgp watch default/192.0.2.1 --json', 'bgp watch --view'] }).argument('[keys...]', 'these only, VRF/PEER'), 'changes')
    .addOption(viewOption())
    .action(action(cli, async (keys: readonly string[], options: WatchOptions & { readonly view?: boolean }) =>
      options.view === true ? await view(cli.io, options, { title: 'bgp watch', kinds: ['bgp'], keys }) : await watch(cli, 'bgp', keys, options)))
}
