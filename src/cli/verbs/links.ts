/** link list: the ports of the dataplane. */
import type { Command } from 'commander'
import type { Link } from '../../generated/proto/lockstep/v1/links.js'
import { withAgent } from '../agent-link.js'
import { call } from '../client.js'
import { exitCode } from '../exit-codes.js'
import { table, type TableColumn } from '../table.js'
import { action, listVerb, printList, type Cli, type ListOptions } from '../verb.js'
import { wholeList } from '../whole-list.js'

export const linkColumns: ReadonlyArray<TableColumn<Link>> = [
  { title: 'LINK', value: (l) => l.name }, { title: 'STATE', value: (l) => (l.up ? 'up' : 'down') }, { title: 'KIND', value: (l) => l.kind }, { title: 'MTU', value: (l) => String(l.mtu), align: 'right' },
  { title: 'MAC', value: (l) => l.mac, drop: 1 }, { title: 'ADDRESSES', value: (l) => l.addresses.join(' ') }
]

export function addLinks (parent: Command, cli: Cli): void {
  const link = parent.command('link').summary('ports of the dataplane').description('What packets come by and leave by.')
  listVerb(link, { usage: 'list [name]', summary: 'Show ports, and whether they can send and receive', about: 'Their counters: `counters iface_rx iface_tx`. Their changes: `watch link`.', examples: ['link list', 'link list eth0 --json'] })
    .action(action(cli, async (name: string | undefined, options: ListOptions) => {
      const { links } = await withAgent(cli.io, options, async (a) => await wholeList('links', async listing => await call(a.links, a.links.list, { name: name ?? '', listing })))
      await printList(cli.io, options, links, () => links.length === 0 ? 'no port is configured\n' : table<Link>(linkColumns, links, cli.io))
      return exitCode.ok
    }))
}
