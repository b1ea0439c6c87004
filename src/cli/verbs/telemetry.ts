/** counters, flood, nat, table verify: what the dataplane counts, and whether its table is sound. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Option, type Command } from 'commander'
import { pageNames } from '../../contract/page-names.js'
import type { CounterBlock, NatAddressUsage, TelemetrySnapshotResponse } from '../../generated/proto/lockstep/v1/telemetry.js'
import { call, type AgentConnection } from '../client.js'
import { withAgent } from '../agent-link.js'
import { exitCode } from '../exit-codes.js'
import { parseWait } from '../format.js'
import { toJson } from '../../lib/json.js'
import { withProgress } from '../progress.js'
import { fields, table, type TableColumn } from '../table.js'
import { action, listVerb, onlineVerb, printList, type Cli, type CommonOptions, type ListOptions } from '../verb.js'
import { wholeList } from '../whole-list.js'

interface CounterOptions extends ListOptions { readonly zeros?: boolean, readonly rate?: number }

export function addTelemetry (parent: Command, cli: Cli): void {
  listVerb(parent, {
    usage: 'counters [blocks...]',
    summary: 'Show counters with names',
    about: 'Blocks: global drops zone_in zone_out zone_drops screens iface_rx iface_tx policy vip real; none means all. Rows that never counted are left out unless --zeros. Units: packets, and bytes of layer 3 (the IP packet, as sessions count them), but of whole frames in iface_rx, iface_tx and rx_bytes, tx_bytes of global.',
    examples: ['counters', 'counters drops', 'counters vip real --rate 5s', 'counters --json']
  })
    .option('--zeros', 'show rows that are zero, too')
    .option('--rate <duration>', 'read twice and show the change a second', parseWait)
    .action(action(cli, async (blocks: string[], options: CounterOptions) => await counters(cli, blocks, options)))

  listVerb(parent, { usage: 'flood [zone]', summary: 'Show what the screens of a zone stopped and see now', about: 'RATE is what a screen saw in the current second, stopped or not: the configured limit is compared with it.', examples: ['flood', 'flood clients --json'] })
    .action(action(cli, async (zone: string | undefined, options: ListOptions) => {
      const { zones } = await withAgent(cli.io, options, async ({ telemetry }) => await call(telemetry, telemetry.floodCounters, { zone: zone ?? '' }))
      const rows = zones.flatMap((z) => z.counters.map((c) => ({ zone: z.zone, ...c })))
      await printList(cli.io, options, zones, () => rows.length === 0
        ? 'no zone is configured\n'
        : table<(typeof rows)[number]>([
          { title: 'ZONE', value: (r) => r.zone }, { title: 'SCREEN', value: (r) => r.screen },
          { title: 'STOPPED', value: (r) => String(r.hits), align: 'right' }, { title: 'RATE', value: (r) => String(r.rate), align: 'right' }, { title: 'SCREENS', value: (r) => r.text, drop: 1 }
        ], rows, cli.io))
      return exitCode.ok
    }))

  listVerb(parent, {
    usage: 'nat [pool]',
    summary: 'Show how full NAT pools are, address by address',
    about: 'PORTS is how many ports of an address one destination can see. A port serves many destinations at once, so USED, the sessions in percent of the ports, may pass 100: FAILED says whether flows were refused. Walks the table once.',
    examples: ['nat', 'nat internet', 'nat --json']
  }).action(action(cli, async (pool: string | undefined, options: ListOptions) => {
    const { addresses } = await withAgent(cli.io, options, async ({ telemetry }) => await wholeList('addresses', async listing => await call(telemetry, telemetry.natUsage, { pool: pool ?? '', listing })))
    await printList(cli.io, options, addresses, () => addresses.length === 0 ? 'no NAT pool is configured\n' : table<NatAddressUsage>(natTable, addresses, cli.io))
    return exitCode.ok
  }))

  onlineVerb(parent, { usage: 'metrics', summary: 'Print what Prometheus reads', about: 'The page that the gateway serves as /metrics, for when none runs.', examples: ['metrics | grep lockstep_sessions', 'metrics --names maglev'] })
    .addOption(new Option('--names <whose>', 'the page of another program’s names: load balancing, or reports of BGP sessions (default: ours, all)').choices([...pageNames]))
    .action(action(cli, async (options: CommonOptions & { readonly names?: string }) => {
      const { text } = await withAgent(cli.io, options, async ({ telemetry }) => await call(telemetry, telemetry.metrics, { names: options.names ?? '' }))
      await cli.io.out(options.json === true ? `${toJson({ text })}\n` : text)
      return exitCode.ok
    }))

  const tableVerb = parent.command('table').summary('the session table itself').description('The session table as a data structure.')
  onlineVerb(tableVerb, {
    usage: 'verify',
    summary: 'Check every slot and index entry',
    about: 'Forwarding goes on meanwhile. Exit code 1 when a rule of the table is broken.',
    examples: ['table verify', 'table verify --json']
  }).action(action(cli, async (options: CommonOptions) => await verify(cli, options)))
}

const natTable: ReadonlyArray<TableColumn<NatAddressUsage>> = [
  { title: 'POOL', value: (r) => r.pool },
  { title: 'ADDRESS', value: (r) => r.address },
  { title: 'PORTS', value: (r) => String(r.ports), align: 'right', drop: 2 },
  { title: 'SESSIONS', value: (r) => String(r.sessions), align: 'right' },
  { title: 'USED', value: (r) => (r.ports === 0 ? '-' : `${(100 * Number(r.sessions) / r.ports).toFixed(1)} %`), align: 'right' },
  { title: 'CREATED', value: (r) => String(r.created), align: 'right', drop: 1 },
  { title: 'FAILED', value: (r) => String(r.failed), align: 'right' }
]

async function counters ({ io }: Cli, blocks: readonly string[], options: CounterOptions): Promise<number> {
  const request = { blocks: [...blocks], zeros: options.zeros === true }
  const read = async ({ telemetry }: AgentConnection): Promise<TelemetrySnapshotResponse> => await call(telemetry, telemetry.snapshot, request)
  const { rate } = options
  const reading = await withAgent(io, options, async (agent) => {
    const first = await read(agent)
    if (rate === undefined) return first
    await sleep(rate, undefined, { signal: io.signal })
    return perSecond(first, await read(agent))
  })
  const parts = reading.blocks.filter((b) => b.rows.length > 0).map((b) => `${b.name}${rate === undefined ? '' : ', a second'}\n${blockTable(b, io)}`)
  const rows = reading.blocks.flatMap((b) => b.rows.map((r) => ({ block: b.name, id: r.id, name: r.name, ...Object.fromEntries(b.fields.map((field, i) => [field, r.values[i] ?? 0n])) })))
  await printList(io, options, rows, () => parts.length === 0 ? 'nothing counted yet\n' : parts.join('\n'), { ...reading, perSecond: rate !== undefined })
  return exitCode.ok
}

function blockTable (block: CounterBlock, io: Cli['io']): string {
  return table<CounterBlock['rows'][number]>([
    { title: 'NAME', value: (r) => r.name },
    ...block.fields.map((field, i) => ({ title: field.toUpperCase(), value: (r: CounterBlock['rows'][number]) => String(r.values[i] ?? 0n), align: 'right' as const, drop: i > 3 ? i : 0 })),
    ...(block.rows.some((r) => r.text !== '') ? [{ title: 'MEANING', value: (r: CounterBlock['rows'][number]) => r.text, drop: 100 }] : [])
  ], block.rows, io)
}

/** Rounded change a second; rows that did not change are left out. */
function perSecond (before: TelemetrySnapshotResponse, after: TelemetrySnapshotResponse): TelemetrySnapshotResponse {
  const ns = after.timeNs - before.timeNs
  const old = new Map(before.blocks.flatMap((b) => b.rows.map((r) => [`${b.name}/${r.id}`, r.values] as const)))
  return {
    ...after,
    blocks: after.blocks.map((b) => ({
      ...b,
      rows: b.rows
        .map((r) => ({ ...r, values: r.values.map((v, i) => (ns <= 0n ? 0n : ((v - (old.get(`${b.name}/${r.id}`)?.[i] ?? 0n)) * 1_000_000_000n + ns / 2n) / ns)) }))
        .filter((r) => r.values.some((v) => v !== 0n))
    }))
  }
}

async function verify ({ io }: Cli, options: CommonOptions): Promise<number> {
  const r = await withProgress(io, 'checking every slot', async () => await withAgent(io, options, async ({ sessions }) => await call(sessions, sessions.verify, {}, { deadlineMs: 120_000, signal: io.signal })))
  if (options.json === true) await io.out(`${toJson(r, 2)}\n`)
  else {
    await io.out(fields([
      ['table', r.ok ? 'clean' : 'BROKEN'], ['slots', String(r.slots)], ['live', String(r.live)],
      ['creating', String(r.creating)], ['dying', String(r.dying)], ['dead', String(r.dead)], ['free', String(r.free)],
      ['entries', `${r.entries} (two for each session)`], ['took', `${r.durationMs.toFixed(1)} ms`]
    ]))
    if (r.faults.length > 0) {
      await io.out('\n' + table<(typeof r.faults)[number]>([
        { title: 'BROKEN RULE', value: (f) => f.name }, { title: 'TIMES', value: (f) => String(f.count), align: 'right' }, { title: 'FIRST', value: (f) => f.first }
      ], r.faults, io))
    }
  }
  return r.ok ? exitCode.ok : exitCode.failed
}
