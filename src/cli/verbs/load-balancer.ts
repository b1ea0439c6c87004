/** vip list, target list, pause, resume, disable, enable: who serves behind each VIP, and why. */
import { Option, type Command } from 'commander'
import { eventLevels } from '../../contract/balancing.js'
import { TargetOperation, type CheckTarget, type LoadBalancerEvent, type Ring, type VipReal, type VipStatus } from '../../generated/proto/lockstep/v1/load_balancer.js'
import { withAgent } from '../agent-link.js'
import { changeVerb, mutationOf, type ChangeOptions } from '../changing.js'
import { call } from '../client.js'
import { fieldObject, fieldWords } from '../event-fields.js'
import { exitCode } from '../exit-codes.js'
import { duration, printable, protocolName, time } from '../format.js'
import { toJson } from '../../lib/json.js'
import { table, type TableColumn } from '../table.js'
import { addWatchOptions, watching, type WatchOptions } from '../watching.js'
import { addOverlay } from './overlay.js'
import { action, listVerb, onlineVerb, printList, type Cli, type ListOptions } from '../verb.js'
import { wholeList } from '../whole-list.js'

const word = (name: string): string => name.replace(/^(VIP|TARGET)_STATE_/, '').toLowerCase()

export function addLoadBalancer (parent: Command, cli: Cli): void {
  const vip = parent.command('vip').summary('virtual services and their reals').description('Virtual services and their reals.')
  listVerb(vip, {
    usage: 'list [name]',
    summary: 'Show VIPs, and who serves behind them',
    about: 'STATE of a VIP: up, degraded (no pool has its quorum), panic (reals that are down serve too), down, unknown. WEIGHT of a real is what it has now, of what the configuration gives it.',
    examples: ['vip list', 'vip list www', 'vip list --json']
  }).action(action(cli, async (name: string | undefined, options: ListOptions) => {
    const { vips } = await withAgent(cli.io, options, async ({ loadBalancer }) => await wholeList('vips', async listing => await call(loadBalancer, loadBalancer.listVips, { name: name ?? '', listing })))
    await printList(cli.io, options, vips, () => vips.length === 0 ? 'no VIP is configured\n' : vipTable(cli, vips))
    return exitCode.ok
  }))

  listVerb(vip, {
    usage: 'readback [name]', summary: 'Show rings as the dataplane has them',
    about: 'Read back from its memory: entries of each real, and the hash that the nodes of a pair have in common. DRIFTED: entries that are not what was put there.', examples: ['vip readback', 'vip readback www --json']
  }).action(action(cli, async (name: string | undefined, options: ListOptions) => {
    const { rings } = await withAgent(cli.io, options, async ({ loadBalancer }) => await call(loadBalancer, loadBalancer.readBack, { vip: name ?? '' }))
    await printList(cli.io, options, rings, () => rings.length === 0 ? 'no VIP serves\n' : ringTable(cli, rings))
    return exitCode.ok
  }))
  changeVerb(vip, {
    usage: 'sync', summary: 'Put right what the dataplane holds, now',
    about: 'Reads back rings and compiled configuration, and writes again what is not what was put there. It happens every 30 seconds by itself.', examples: ['vip sync']
  }).action(action(cli, async (options: ChangeOptions) => {
    const found = await withAgent(cli.io, options, async ({ loadBalancer }) => await call(loadBalancer, loadBalancer.reconcile, mutationOf(cli.io, options)))
    const wrong = [...found.repaired.map(r => `${r.vip}: ${r.entries} entries`), ...(found.configBytes === 0n ? [] : [`configuration: ${found.configBytes} bytes`])]
    await cli.io.out(options.json === true ? `${toJson(found, 2)}\n` : `${found.vips} rings in ${found.tookMs.toFixed(1)} ms: ${wrong.length === 0 ? 'as they should be' : `put right: ${wrong.join(', ')}`}\n`)
    return exitCode.ok
  }))
  addWatchOptions(onlineVerb(vip, {
    usage: 'watch', summary: 'Show what happened to VIPs and reals, and what happens',
    about: 'The latest events, at most 256, then those that come. Ends with Ctrl-C. --json prints one object a line. Events are in docs/operations/load-balancing.md.', examples: ['vip watch', 'vip watch --level warn', 'vip watch --event vip-state --json --for 1m']
  }), 'events').addOption(new Option('--level <level>', 'this, and what is above').choices(eventLevels).default('info')).option('--event <name...>', 'only events of these names')
    .action(action(cli, async (o: WatchOptions & { readonly level: string, readonly event?: string[] }) =>
      await watching(cli.io, o, ({ loadBalancer }) => loadBalancer.watch({ minLevel: o.level, names: o.event ?? [] }), ({ events }) => events.map(o.json === true ? eventJson : eventLine))))
  addOverlay(vip, parent, cli)

  const target = parent.command('target').summary('what health checks probe').description('Addresses and ports that health checks probe.')
  listVerb(target, {
    usage: 'list [id]',
    summary: 'Show who is probed, and what was found',
    about: 'A target is an address and port under a check: `web/192.0.2.7:80`. Reals of several VIPs may share one. With an id: its latest changes, too.',
    examples: ['target list', 'target list web/192.0.2.7:80', 'target list --json']
  }).action(action(cli, async (id: string | undefined, options: ListOptions) => {
    const { targets } = await withAgent(cli.io, options, async ({ loadBalancer }) => await wholeList('targets', async listing => await call(loadBalancer, loadBalancer.listTargets, { id: id ?? '', listing })))
    await printList(cli.io, options, targets, () => targets.length === 0 ? 'nothing is probed\n' : table<CheckTarget>(targetColumns, targets, cli.io) + (id === undefined ? '' : historyTable(cli, targets)))
    return exitCode.ok
  }))
  for (const [name, operation, summary, about] of [
    ['pause', TargetOperation.TARGET_OPERATION_PAUSE, 'Stop probing a target; it takes no new flows', 'Its sessions stay.'],
    ['resume', TargetOperation.TARGET_OPERATION_RESUME, 'Probe a target again that was paused', 'It is unknown until its next probe.'],
    ['disable', TargetOperation.TARGET_OPERATION_DISABLE, 'Take a target out: no probes, no flows, no sessions', 'Its sessions end.'],
    ['enable', TargetOperation.TARGET_OPERATION_ENABLE, 'Take back a target that was disabled', 'It is unknown until its next probe.']
  ] as const) {
    changeVerb(target, { usage: `${name} <id>`, summary, about: `${about} At this node only: the other node of a pair probes for itself.`, examples: [`target ${name} web/192.0.2.7:80`] })
      .action(action(cli, async (id: string, options: ChangeOptions) => {
        await withAgent(cli.io, options, async ({ loadBalancer }) => await call(loadBalancer, loadBalancer.operateTarget, { id, operation, ...mutationOf(cli.io, options) }))
        await cli.io.out(options.json === true ? `${toJson({ id, operation: name })}\n` : `${id}: ${name}\n`)
        return exitCode.ok
      }))
  }
}

export interface VipRow { readonly vip: VipStatus | null, readonly real: VipReal }
/** The VIP stands beside its first real. */
export const vipRows = (vip: VipStatus): VipRow[] => vip.reals.map((real, i) => ({ vip: i === 0 ? vip : null, real }))

export const vipColumns: ReadonlyArray<TableColumn<VipRow>> = [
  { title: 'VIP', value: ({ vip }) => vip?.name ?? '' },
  { title: 'ADDRESS', value: ({ vip }) => vip === null ? '' : `${vip.address} ${vip.protocol === 0 ? 'any' : protocolName(vip.protocol)}/${vip.port === 0 ? 'any' : vip.port}`, drop: 2 },
  { title: 'STATE', value: ({ vip }) => vip === null ? '' : word(vip.state) },
  { title: 'POOL', value: ({ real }) => real.pool },
  { title: 'REAL', value: ({ real }) => real.name },
  { title: 'WEIGHT', value: ({ real }) => real.weight === real.configuredWeight ? String(real.weight) : `${real.weight} of ${real.configuredWeight}`, align: 'right' },
  { title: 'IS', value: ({ real }) => real.state },
  { title: 'TARGET', value: ({ real }) => real.target ?? 'not checked', drop: 1 }
]

const vipTable = ({ io }: Cli, vips: readonly VipStatus[]): string => table<VipRow>(vipColumns, vips.flatMap(vipRows), io)

const eventJson = ({ atMs, name, level, fields }: LoadBalancerEvent): string => `${toJson({ time: new Date(Number(atMs)).toISOString(), event: name, level, fields: fieldObject(fields) })}\n`

const eventLine = ({ atMs, name, level, fields }: LoadBalancerEvent): string => `${printable([time(atMs), level.padEnd(5), name, ...fieldWords(fields)].join(' '))}\n`

function ringTable ({ io }: Cli, rings: readonly Ring[]): string {
  const rows = rings.flatMap((ring): Array<{ readonly ring: Ring | null, readonly name: string, readonly entries: number }> => ring.reals.map(({ name, entries }, i) => ({ ring: i === 0 ? ring : null, name, entries })))
  return table<typeof rows[number]>([
    { title: 'VIP', value: ({ ring }) => ring?.vip ?? '' }, { title: 'HASH', value: ({ ring }) => ring?.hash ?? '', drop: 1 }, { title: 'SIZE', value: ({ ring }) => ring === null ? '' : String(ring.size), align: 'right', drop: 2 },
    { title: 'DRIFTED', value: ({ ring }) => ring === null ? '' : String(ring.drifted), align: 'right' }, { title: 'REAL', value: ({ name }) => name }, { title: 'ENTRIES', value: ({ entries }) => String(entries), align: 'right' }
  ], rows, io)
}

export const targetColumns: ReadonlyArray<TableColumn<CheckTarget>> = [
  { title: 'TARGET', value: (r) => r.id },
  { title: 'STATE', value: (r) => `${word(r.state)}${r.sharePct === 100 ? '' : ` ${r.sharePct} %`}` },
  { title: 'FOR', value: (r) => duration(Math.max(0, Date.now() - Number(r.sinceMs))), align: 'right', ticks: true },
  { title: 'PASSED', value: (r) => String(r.passed), align: 'right', drop: 2 },
  { title: 'FAILED', value: (r) => String(r.failed), align: 'right', drop: 2 },
  { title: 'LAST', value: (r) => r.last === undefined ? 'not probed' : `${r.last.code}${r.last.detail === '' ? '' : `: ${r.last.detail}`}` },
  { title: 'MS', value: (r) => r.last?.tookMs.toFixed(1) ?? '', align: 'right', drop: 1 }
]

function historyTable ({ io }: Cli, targets: readonly CheckTarget[]): string {
  const rows = targets.flatMap((r) => r.history)
  if (rows.length === 0) return ''
  return '\n' + table<typeof rows[number]>([
    { title: 'WHEN', value: (r) => new Date(Number(r.atMs)).toISOString() },
    { title: 'FROM', value: (r) => word(r.from) }, { title: 'TO', value: (r) => word(r.to) },
    { title: 'WHY', value: (r) => `${r.code}${r.detail === '' || r.detail === r.code ? '' : `: ${r.detail}`}` }
  ], rows, io)
}
