/** events: the journal, one line each. */
import { Option, type Command } from 'commander'
import { eventLevels } from '../../contract/balancing.js'
import { eventAreas } from '../../contract/events.js'
import type { Event } from '../../generated/proto/lockstep/v1/events.js'
import { fieldObject, fieldWords } from '../event-fields.js'
import { printable, time } from '../format.js'
import { toJson } from '../../lib/json.js'
import { action, onlineVerb, type Cli } from '../verb.js'
import { addWatchOptions, watching, type WatchOptions } from '../watching.js'

interface EventsOptions extends WatchOptions { readonly level?: string, readonly area?: readonly string[], readonly name?: readonly string[], readonly after?: string }

const collect = (value: string, before: readonly string[] | undefined): readonly string[] => [...before ?? [], value]

export function addEvents (parent: Command, cli: Cli): void {
  addWatchOptions(onlineVerb(parent, {
    usage: 'events',
    summary: 'Show what happened in the agent, and what happens',
    about: 'Every area in one order, also who called for what change (area audit). The latest events, at most 2000, then those that come. Ends with Ctrl-C. An event named events-lost stands where a reader was too slow or came back too late.',
    examples: ['events', 'events --level warn --for 1m', 'events --area audit --json', 'events --after 3f0c1b2a9d77-412']
  }), 'events')
    .addOption(new Option('--level <level>', 'this, and what is above (default: info)').choices(eventLevels))
    .addOption(new Option('--area <area>', 'may be repeated').choices(eventAreas).argParser(collect))
    .option('--name <name>', 'only events of this name; may be repeated', collect)
    .option('--after <id>', 'only what is behind this one')
    .action(action(cli, async (options: EventsOptions) =>
      await watching(cli.io, options, ({ events }) => events.watch({ minLevel: options.level ?? '', areas: [...options.area ?? []], names: [...options.name ?? []], after: options.after ?? '' }), ({ events }) => events.map(options.json === true ? eventJson : eventLine))))
}

const eventJson = ({ id, atMs, area, name, level, object, fields }: Event): string => `${toJson({ id, time: new Date(Number(atMs)).toISOString(), area, event: name, level, object, fields: fieldObject(fields) })}\n`

function eventLine ({ atMs, area, name, level, object, fields }: Event): string {
  const words = [time(atMs), level === 'info' ? '    ' : level.padEnd(4), area.padEnd(13), name, ...object === '' ? [] : [`[${object}]`], ...fieldWords(fields)]
  return `${printable(words.join(' ').trimEnd())}\n`
}
