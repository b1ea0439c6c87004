/** top: what goes through, the agent, its pair, VIPs, targets and ports on one screen that follows them. */
import type { Command } from 'commander'
import { kindNames, plainObject, Watch, type Kind, type ObjectsConnection } from '../../client/index.js'
import { toJson } from '../../lib/json.js'
import { withAgent, withObjects } from '../agent-link.js'
import { call } from '../client.js'
import { exitCode } from '../exit-codes.js'
import { parseWait } from '../format.js'
import { action, onlineVerb, type Cli, type CommonOptions } from '../verb.js'
import { view } from '../view/view.js'

export function addTop (parent: Command, cli: Cli): void {
  onlineVerb(parent, {
    usage: 'top',
    summary: 'Show traffic, the agent, its pair, VIPs and targets on the whole terminal, redrawn in place',
    about: 'What changed is marked for a moment. When the agent is not reached it says so, and how old the rest is. q or Ctrl-C ends, arrows and Page Up and Down scroll. --json prints all objects once, by kind and key.',
    examples: ['top', 'top --json | jq .vip']
  }).option('--for <duration>', 'end after this time', parseWait)
    .action(action(cli, async (options: CommonOptions & { readonly for?: number }) => {
      if (options.json !== true) return await view(cli.io, options, { title: 'top', kinds: ['agent', 'group', 'peer', 'vip', 'target', 'link'], traffic: true })
      await withAgent(cli.io, options, async ({ agent }) => await call(agent, agent.getInfo, {}))
      const all = await withObjects(cli.io, options, async objects => await Promise.all(kindNames.map(async kind => [kind, await once(objects, kind, cli.io.signal)] as const)))
      await cli.io.out(`${toJson(Object.fromEntries(all), 2)}\n`)
      return exitCode.ok
    }))
}

async function once<K extends Kind> (objects: ObjectsConnection, kind: K, signal: AbortSignal): Promise<Record<string, unknown>> {
  const watch = new Watch(objects.open(kind), { signal })
  try {
    await watch.next()
    return Object.fromEntries([...watch.current()].map(([key, value]) => [key, plainObject(kind, value)]))
  } finally {
    await watch.return()
  }
}
