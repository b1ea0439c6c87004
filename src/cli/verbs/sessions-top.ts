/** sessions top: who moves the most, measured over a moment. */
import { Option, type Command } from 'commander'
import { TopBy, type TopSession } from '../../generated/proto/lockstep/v1/sessions.js'
import { formatEndpoint } from '../../lib/address.js'
import { withAgent } from '../agent-link.js'
import { call } from '../client.js'
import { exitCode } from '../exit-codes.js'
import { addFilterOptions, filterMessage, type FilterOptions } from '../filter-options.js'
import { bytes, parseCount, parseDuration, protocolName } from '../format.js'
import { table, type TableColumn } from '../table.js'
import { action, listVerb, printList, type Cli, type ListOptions } from '../verb.js'

interface TopOptions extends ListOptions, FilterOptions { readonly by: 'bytes' | 'packets', readonly limit?: number, readonly window?: number }

const rate = (n: number, unit: string): string => `${bytes(Math.round(n))}${unit}`

const columns: ReadonlyArray<TableColumn<TopSession>> = [
  { title: 'PROTO', value: ({ session }) => protocolName(session?.protocol ?? 0) },
  { title: 'SOURCE', value: ({ session }) => formatEndpoint(session?.source ?? '', session?.sourcePort ?? 0) },
  { title: 'DESTINATION', value: ({ session }) => formatEndpoint(session?.destination ?? '', session?.destinationPort ?? 0) },
  { title: 'VIP', value: ({ session }) => session?.vip ?? '', drop: 2 },
  { title: 'REAL', value: ({ session }) => session?.real ?? '', drop: 3 },
  { title: 'PACKETS', value: ({ packetsPerS }) => rate(packetsPerS, '/s'), align: 'right' },
  { title: 'BITS', value: ({ bitsPerS }) => rate(bitsPerS, 'bit/s'), align: 'right' },
  { title: 'ID', value: ({ session }) => session?.id ?? '', drop: 4 }
]

export function addTop (sessions: Command, cli: Cli): void {
  addFilterOptions(listVerb(sessions, {
    usage: 'top',
    summary: 'Show the sessions that move the most',
    about: 'Two readings of the counters, and what lies between them. Sessions that moved nothing are not shown.',
    examples: ['sessions top', 'sessions top --vip web --by packets --window 10s', 'sessions top --limit 100 --json']
  }))
    .addOption(new Option('--by <what>', 'sort by').choices(['bytes', 'packets']).default('bytes'))
    .option('--limit <n>', 'this many, at most 1000 (default: 20)', parseCount)
    .option('--window <time>', 'measure for so long, 100ms to 1m (default: 1s)', parseDuration)
    .action(action(cli, async (options: TopOptions) => {
      const answer = await withAgent(cli.io, options, async ({ sessions }) => await call(sessions, sessions.top, {
        filter: filterMessage(options), by: options.by === 'packets' ? TopBy.TOP_BY_PACKETS : TopBy.TOP_BY_BYTES, limit: options.limit ?? 0, windowMs: options.window ?? 0
      }, { signal: cli.io.signal, deadlineMs: 120_000 }))
      await printList(cli.io, options, answer.sessions, () => `${answer.sessions.length === 0 ? 'nothing moved\n' : table(columns, answer.sessions, cli.io)}all: ${rate(answer.packetsPerS, ' packets/s')}, ${rate(answer.bitsPerS, 'bit/s')}\n`, answer)
      return exitCode.ok
    }))
}
