/** cluster watch: events as they happen, one line each. */
import type { Command } from 'commander'
import type { ClusterEvent } from '../../generated/proto/lockstep/v1/cluster.js'
import { fieldObject, fieldWords } from '../event-fields.js'
import { printable, time } from '../format.js'
import { toJson } from '../../lib/json.js'
import { action, onlineVerb, type Cli } from '../verb.js'
import { view } from '../view/view.js'
import { addWatchOptions, viewOption, watching, type WatchOptions } from '../watching.js'

export function addClusterWatch (cluster: Command, cli: Cli): void {
  addWatchOptions(onlineVerb(cluster, {
    usage: 'watch',
    summary: 'Show what happened, and what happens',
    about: 'The latest events, at most 256, then those that come. Ends with Ctrl-C. --json prints one object a line. An event named events-lost stands where a reader was too slow. --view: groups and peers on the whole terminal instead, redrawn in place.',
    examples: ['cluster watch', 'cluster watch --json --for 30s', 'cluster watch --view']
  }), 'events')
    .addOption(viewOption())
    .action(action(cli, async (options: WatchOptions & { readonly view?: boolean }) => options.view === true
      ? await view(cli.io, options, { title: 'cluster watch', kinds: ['group', 'peer'] })
      : await watching(cli.io, options, ({ cluster: c }) => c.watch({}), ({ events }) => events.map(options.json === true ? eventJson : eventLine))))
}

function eventJson ({ atMs, name, rg, peer, fields }: ClusterEvent): string {
  return `${toJson({ time: new Date(Number(atMs)).toISOString(), event: name, rg: rg ?? null, peer: peer === '' ? null : peer, fields: fieldObject(fields) })}\n`
}

function eventLine ({ atMs, name, rg, peer, fields }: ClusterEvent): string {
  const words = [time(atMs), name.padEnd(14), ...(rg === undefined ? [] : [`rg=${rg}`]), ...(peer === '' ? [] : [`peer=${peer}`]), ...fieldWords(fields)]
  return `${printable(words.join(' ').trimEnd())}\n`
}
