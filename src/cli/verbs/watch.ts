/** `lockstep watch KIND`: objects as they are, then what changes, over restarts of the agent. */
import { Argument, type Command } from 'commander'
import { kindNames, plainObject, Watch, WatchRefused, type Change, type Kind, type ObjectOf, type Open, type PlainOf } from '../../client/index.js'
import { LockstepError } from '../../contract/errors.js'
import { withAgent, withObjects } from '../agent-link.js'
import { call } from '../client.js'
import { exitCode } from '../exit-codes.js'
import { count, printable, time } from '../format.js'
import { toJson } from '../../lib/json.js'
import { action, onlineVerb, type Cli } from '../verb.js'
import { view } from '../view/view.js'
import { addWatchOptions, viewOption, type WatchOptions } from '../watching.js'

export function addWatch (parent: Command, cli: Cli): void {
  addWatchOptions(onlineVerb(parent, {
    usage: 'watch',
    summary: 'Show objects, then every change of them',
    about: `Kinds: ${kindNames.join(', ')}. First all there are (+), then what is new (+), changed (~) or gone (-). Goes on when the agent restarts, and shows what changed meanwhile. --json prints one object a line. Ends with Ctrl-C. --view: a table on the whole terminal instead, redrawn in place.`,
    examples: ['watch vip', 'watch target web/192.0.2.7:80', 'watch group --json --for 1m', 'watch target --view']
  }).addArgument(new Argument('<kind>', 'of objects').choices(kindNames)).argument('[keys...]', 'these only, at most 1000'), 'changes')
    .addOption(viewOption())
    .action(action(cli, async (kind: Kind, keys: readonly string[], options: WatchOptions & { readonly view?: boolean }) => {
      return options.view === true ? await view(cli.io, options, { title: `watch ${kind}`, kinds: [kind], keys }) : await watch(cli, kind, keys, options)
    }))
}

export async function watch<K extends Kind> (cli: Cli, kind: K, keys: readonly string[], options: WatchOptions): Promise<number> {
  await withAgent(cli.io, options, async ({ agent }) => await call(agent, agent.getInfo, {})) // an agent that is not there at the beginning is an error; later it is waited for
  return await withObjects(cli.io, options, async (objects) => await changes(cli, objects.open(kind, keys), kind, options))
}

async function changes<K extends Kind> ({ io }: Cli, open: Open<ObjectOf<K>>, kind: K, options: WatchOptions): Promise<number> {
  const over = options.for === undefined ? io.signal : AbortSignal.any([io.signal, AbortSignal.timeout(options.for)])
  const batches = new Watch(open, { signal: over })
  let left = options.count ?? Infinity
  let problem = ''
  const timer = setInterval(() => {
    if (batches.status.problem !== problem && batches.status.problem !== '') io.err(`${printable(batches.status.problem)}; trying again\n`)
    problem = batches.status.problem
  }, 500)
  try {
    for await (const { changes, revision, cause } of batches) {
      if (cause === 'initial') io.err(`${count(changes.length)} of kind ${kind}; watching, Ctrl-C ends\n`)
      else if (cause !== null) io.err(`connected again: ${cause === 'resumed' ? 'what was missed' : 'what differs'} follows\n`)
      for (const change of changes) {
        if (left-- <= 0) return exitCode.ok
        await io.out(options.json === true ? `${toJson({ change: change.kind, key: change.key, revision, value: change.kind === 'removed' ? null : plainObject(kind, change.next) })}\n` : line(kind, change))
      }
      if (left <= 0) return exitCode.ok
    }
    return exitCode.ok
  } catch (error) {
    if (over.aborted) return exitCode.ok
    if (error instanceof WatchRefused) throw new LockstepError('invalid', 'LS_R_REFUSED', 'the agent refuses this watch', { object: kind, found: error.message })
    throw error
  } finally {
    clearInterval(timer)
    await batches.return()
  }
}

const signs = { added: '+', updated: '~', removed: '-' } as const

function line<K extends Kind> (kind: K, change: Change<ObjectOf<K>>): string {
  const words = change.kind === 'removed' ? (change.finalStateUnknown ? 'gone while nobody listened' : '') : summaries[kind](plainObject(kind, change.next))
  return `${time(BigInt(Date.now()))} ${signs[change.kind]} ${printable(`${change.key} ${words}`.trimEnd())}\n`
}

const summaries: { readonly [K in Kind]: (value: PlainOf<K>) => string } = {
  agent: ({ state, backend, generation, reasons }) => [state, backend, `generation ${generation}`, ...reasons].join(', '),
  vip: ({ state, address, port, reals }) => `${state} ${address} port ${port}: ${reals.map(real => `${real.name} ${real.state} ${real.weight}`).join(', ')}`,
  target: ({ state, address, port, history }) => `${state} ${address}:${port} ${history.at(-1)?.detail ?? ''}`,
  link: ({ up, kind, mtu, addresses }) => [up ? 'up' : 'down', kind, `mtu ${mtu}`, ...addresses].join(' '),
  generation: ({ state, author, comment }) => `${state} by ${author} ${comment}`,
  group: ({ role, owner, ready, reasons }) => [role, `owner ${owner === '' ? 'none' : owner}`, ready ? 'ready' : `not ready: ${reasons.join(' ')}`].join(', '),
  peer: ({ liveness, agent }) => `${liveness} ${agent}`,
  bgp: ({ state, remoteAs, flaps, fsm, adminDown, reason, unknownBecause }) => [state, ...remoteAs === undefined ? [] : [`AS ${remoteAs}`], ...fsm === undefined || fsm === 'established' ? [] : [adminDown ? 'shut down here' : fsm], `${flaps} flaps`, ...unknownBecause !== '' ? [unknownBecause] : state === 'down' && reason !== undefined ? [reason] : []].join(', ')
}
