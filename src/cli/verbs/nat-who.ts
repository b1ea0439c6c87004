/** nat-who: who had a translated address and port. */
import type { Command } from 'commander'
import type { Translation } from '../../generated/proto/lockstep/v1/telemetry.js'
import { formatEndpoint } from '../../lib/address.js'
import { withAgent } from '../agent-link.js'
import { call } from '../client.js'
import { exitCode, usageError } from '../exit-codes.js'
import { parseCount, parseSmall, protocolName, time } from '../format.js'
import { table, type TableColumn } from '../table.js'
import { action, listVerb, printList, type Cli, type ListOptions } from '../verb.js'
import { wholeList } from '../whole-list.js'

interface Options extends ListOptions { readonly at?: number, readonly protocol?: string, readonly limit: number }

const columns: ReadonlyArray<TableColumn<Translation>> = [
  { title: 'CLIENT', value: t => formatEndpoint(t.client, t.clientPort) }, { title: 'AS', value: t => formatEndpoint(t.address, t.port) }, { title: 'TO', value: t => formatEndpoint(t.destination, t.destinationPort) },
  { title: 'PROTO', value: t => protocolName(t.protocol) }, { title: 'FROM', value: t => time(t.fromMs) }, { title: 'UNTIL', value: t => t.untilMs === undefined ? 'open' : time(t.untilMs) }, { title: 'POLICY', value: t => t.policy, drop: 1 }
]

export function addNatWho (parent: Command, cli: Cli): void {
  listVerb(parent, {
    usage: 'nat-who <address> [port]',
    summary: 'Show who had a translated address and port',
    about: 'Sessions that have it, and those that ended, as far back as the agent keeps them (agent.nat-history; gone when it ends). A line on standard error says since when that is complete.',
    examples: ['nat-who 198.51.100.7 40112', 'nat-who 198.51.100.7 40112 --at 2026-11-20T08:15:00Z --protocol tcp', 'nat-who 198.51.100.7 --limit 1000 --json']
  })
    .option('--at <time>', 'who had it then (ISO 8601, or Unix seconds)', parseMoment)
    .option('--protocol <name>', 'only this protocol')
    .option('--limit <n>', 'at most this many', parseCount, 100)
    .action(action(cli, async (address: string, port: string | undefined, { at, protocol, limit, ...options }: Options) => {
      const answer = await withAgent(cli.io, options, async ({ telemetry }) =>
        await wholeList('translations', async listing => await call(telemetry, telemetry.natWho, { address, port: port === undefined ? 0 : parseSmall(port), protocol: protocol ?? '', limit, ...at === undefined ? {} : { atMs: BigInt(at) }, listing })))
      const rows = answer.translations.map(({ untilMs, ...t }) => ({ ...t, untilMs: untilMs ?? null }))
      const { completeSinceMs: since } = answer
      await printList(cli.io, options, rows, () => answer.translations.length === 0 ? 'nobody that is known\n' : table<Translation>(columns, answer.translations, cli.io), { ...answer, translations: rows, completeSinceMs: since ?? null })
      cli.io.err(`${answer.truncated ? `there are more than ${limit}; ` : ''}${since === undefined ? 'sessions that ended are not kept' : `complete since ${time(since)}`}${answer.lost > 0n ? `, but for ${answer.lost} changes that were lost` : ''}\n`)
      return exitCode.ok
    }))
}

function parseMoment (text: string): number {
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text)
  if (!Number.isFinite(ms) || ms < 0) throw usageError('not a moment', text, 'for example 2026-11-20T08:15:00Z, or Unix seconds')
  return Math.round(ms)
}
