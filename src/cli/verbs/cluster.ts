/** cluster status, history, switchover, hold, release, reset, verify: the pair that the node is part of. */
import type { Command } from 'commander'
import { LockstepError } from '../../contract/errors.js'
import type { ClusterClient, ClusterGetStatusResponse, ClusterHoldResponse, GroupRefusal, GroupVerification } from '../../generated/proto/lockstep/v1/cluster.js'
import { withAgent, type LinkOptions } from '../agent-link.js'
import { addChangeOptions, mutationOf, type ChangeOptions } from '../changing.js'
import { call } from '../client.js'
import { exitCode, usageError } from '../exit-codes.js'
import { formatEndpoint } from '../../lib/address.js'
import { duration, parseSmall, parseWait, printable, time } from '../format.js'
import { toJson } from '../../lib/json.js'
import { withProgress } from '../progress.js'
import { table } from '../table.js'
import { action, listVerb, onlineVerb, printList, type Cli, type CommonOptions, type ListOptions } from '../verb.js'
import { wholeList } from '../whole-list.js'
import { age, changeJson, historyTable, statusJson, statusText, type GroupChange } from './cluster-status.js'
import { addClusterWatch } from './cluster-watch.js'

interface GroupOptions extends CommonOptions { readonly all?: boolean }

/** A move takes seconds; a command waits for those before it. */
const COMMAND_DEADLINE_MS = 60_000
/** For the answer, when the time of a verification is over. */
const VERIFY_GRACE_MS = 10_000

export function addCluster (parent: Command, cli: Cli): void {
  const cluster = parent.command('cluster').summary('the pair of nodes: roles, replication, planned moves').description('The pair that this node is part of, as this node sees it. Commands act at this node.')

  onlineVerb(cluster, {
    usage: 'status',
    summary: 'Show who owns what, whether the other can take over, and how equal the tables are',
    about: 'READY: whether this node can take the group by a planned move, else why not. PROVEN: how long ago both tables were proven equal. PRIO is less than configured while monitors are down. Reasons, and what to do about each: docs/operations/cluster.md.',
    examples: ['cluster status', 'cluster status --json | jq -r \'.groups[] | select(.ready | not) | .rg\'']
  }).action(action(cli, async (options: CommonOptions) => {
    const status = await statusOf(cli, options)
    await cli.io.out(options.json === true ? `${toJson(statusJson(status), 2)}\n` : statusText(status, cli.io, Date.now()))
    return exitCode.ok
  }))

  addClusterWatch(cluster, cli)

  listVerb(cluster, { usage: 'history [rg]', summary: 'List changes of roles, newest first', about: 'The latest 32 of each group, since the agent started.', examples: ['cluster history', 'cluster history 1 --json'] })
    .action(action(cli, async (rg: string | undefined, options: ListOptions) => await history(cli, rg === undefined ? null : parseSmall(rg), options)))

  addChangeOptions(groupVerb(cluster, {
    usage: 'switchover [rg...]',
    summary: 'Move groups to a node, without losing a packet',
    about: 'Each group is judged and moved for itself; what cannot be moved now stays where it is, with the reasons. A group that was moved is pinned until `cluster reset`, or until it moves otherwise. Exit code 1 when a group was refused.',
    examples: ['cluster switchover --all', 'cluster switchover 1 2 --to edge-b', 'cluster switchover --all --json | jq .refused', 'cluster switchover 1 --dry-run']
  }))
    .option('--to <node>', 'node that shall own them (default: the other one)')
    .action(action(cli, async (rgs: string[], options: GroupOptions & ChangeOptions & { readonly to?: string }) => {
      const named = namedOf(rgs, options)
      const { to, ...result } = await withAgent(cli.io, options, async ({ cluster: c }) => await call(c, c.switchover, { ...named, to: options.to ?? '', ...mutationOf(cli.io, options) }, { deadlineMs: COMMAND_DEADLINE_MS }))
      return await commandResult(cli, options, result, `owned by ${to}`, { to })
    }))

  const commands = [
    { name: 'hold', done: 'held', summary: 'Let this node not own groups until they are released', about: 'For maintenance. What it owns goes to the other node when that is ready, and stays until then.', method: (c: ClusterClient) => c.hold },
    { name: 'release', done: 'released', summary: 'Take back a hold', about: 'The node may own the groups again; whether it does the election decides.', method: (c: ClusterClient) => c.release },
    { name: 'reset', done: 'reset', summary: 'Forget what was decided by hand or remembered of others', about: 'Pins, guards, and the highest configuration generation heard of: afterwards a node with an older one may own.', method: (c: ClusterClient) => c.reset }
  ] as const
  for (const { name, done, summary, about, method } of commands) {
    addChangeOptions(groupVerb(cluster, { usage: `${name} [rg...]`, summary, about, examples: [`cluster ${name} --all`, `cluster ${name} 1 --json`] }))
      .action(action(cli, async (rgs: string[], options: GroupOptions & ChangeOptions) => {
        const named = { ...namedOf(rgs, options), ...mutationOf(cli.io, options) }
        return await commandResult(cli, options, await withAgent(cli.io, options, async ({ cluster: c }) => await call(c, method(c), named, { deadlineMs: COMMAND_DEADLINE_MS })), done)
      }))
  }

  groupVerb(cluster, {
    usage: 'verify [rg...]',
    summary: 'Compare this node\'s copy with the owner\'s now, and repair what differs',
    about: 'Of groups that this node does not own. DIFFERENCES were found and repaired on the way. Exit code 1 when a group is not equal within the time.',
    examples: ['cluster verify --all', 'cluster verify 1 --timeout 2m --json']
  })
    .option('--timeout <duration>', 'how long to try, at most 10m', parseWait, 30_000)
    .action(action(cli, async (rgs: string[], options: GroupOptions & { readonly timeout: number }) => await verify(cli, rgs, options)))

  listVerb(cluster, {
    usage: 'differences [rg...]',
    summary: 'Show sessions that this node did not have as their owner does, and that were repaired',
    about: 'Of the latest 32 comparisons, newest first, at most 256 sessions of each kind. A session that only this node had ended here.',
    examples: ['cluster differences', 'cluster differences 1 --json']
  }).action(action(cli, async (rgs: string[], options: ListOptions) => await differences(cli, rgs, options)))

  addChangeOptions(groupVerb(cluster, {
    usage: 'resync [rg...]',
    summary: 'Take whole groups from their owner anew, whatever this node has of them',
    about: 'Of groups that this node does not own, for who does not trust the copy: `verify` repairs what differs, and is enough otherwise. Exit code 1 when a group is not equal within the time.',
    examples: ['cluster resync 1', 'cluster resync --all --timeout 2m', 'cluster resync --all --dry-run']
  }))
    .option('--timeout <duration>', 'how long to try, at most 10m', parseWait, 30_000)
    .action(action(cli, async (rgs: string[], options: GroupOptions & ChangeOptions & { readonly timeout: number }) => await resync(cli, rgs, options)))
}

function groupVerb (parent: Command, spec: Parameters<typeof onlineVerb>[1]): Command {
  return onlineVerb(parent, spec).option('--all', 'every group')
}

function namedOf (rgs: readonly string[], { all = false }: GroupOptions): { readonly rgs: number[], readonly all: boolean } {
  if (all === (rgs.length === 0)) return { rgs: rgs.map(parseSmall), all }
  throw usageError('which groups?', all ? `--all and ${rgs.join(' ')}` : 'none', 'numbers of groups, or --all')
}

async function statusOf ({ io }: Cli, options: LinkOptions): Promise<ClusterGetStatusResponse> {
  return await withAgent(io, options, async ({ cluster }) => await call(cluster, cluster.getStatus, {}))
}

async function history (cli: Cli, rg: number | null, options: ListOptions): Promise<number> {
  const { groups } = await statusOf(cli, options)
  const chosen = groups.filter((g) => rg === null || g.rg === rg)
  if (chosen.length === 0 && rg !== null) throw new LockstepError('invalid', 'LS_U_GROUP', 'no such redundancy group', { found: String(rg), expected: `one of ${groups.map((g) => g.rg).join(' ')}` })
  const changes: GroupChange[] = chosen.flatMap((g) => g.history.map((change) => ({ rg: g.rg, ...change })).reverse()).sort((a, b) => Number(b.atMs - a.atMs))
  await printList(cli.io, options, changes.map(changeJson), () => changes.length === 0 ? 'no role has changed\n' : historyTable(changes, cli.io))
  return exitCode.ok
}

async function commandResult ({ io }: Cli, options: CommonOptions, { done, refused }: ClusterHoldResponse, word: string, more: object = {}): Promise<number> {
  if (options.json === true) await io.out(`${toJson({ ...more, done, refused }, 2)}\n`)
  else {
    const lines = [...done.map((rg) => ({ rg, text: word })), ...refused.map((r) => ({ rg: r.rg, text: refusedText(r) }))].sort((a, b) => a.rg - b.rg)
    await io.out(lines.map(({ rg, text }) => `rg ${rg}: ${printable(text)}\n`).join(''))
  }
  return refused.length === 0 ? exitCode.ok : exitCode.failed
}

const refusedText = ({ reasons }: GroupRefusal): string => `refused: ${reasons.join(', ')}`

async function verify ({ io }: Cli, rgs: readonly string[], options: GroupOptions & { readonly timeout: number }): Promise<number> {
  const request = { ...namedOf(rgs, options), timeoutMs: options.timeout }
  const { groups } = await withProgress(io, 'comparing with the owner', async () => await withAgent(io, options, async ({ cluster }) => await call(cluster, cluster.verify, request, { deadlineMs: options.timeout + VERIFY_GRACE_MS, signal: io.signal })))
  return await verified(io, options, groups)
}

async function differences ({ io }: Cli, rgs: readonly string[], options: ListOptions): Promise<number> {
  const { groups } = await withAgent(io, options, async ({ cluster }) => await wholeList('groups', async listing => await call(cluster, cluster.listDifferences, { rgs: rgs.map(parseSmall), listing })))
  const rows = groups.flatMap(({ rg, atMs, sessions }) => sessions.map(({ now, ...s }) => ({ rg, atMs, ...s, now: now ?? null })))
  await printList(io, options, rows, () => rows.length === 0 ? 'no difference was found\n' : table<typeof rows[number]>([
    { title: 'RG', value: r => String(r.rg), align: 'right' }, { title: 'WHEN', value: r => time(r.atMs) }, { title: 'SESSION', value: r => r.session }, { title: 'WHAT', value: r => r.onlyHere ? 'only here: ended' : 'sent again' },
    { title: 'NOW', value: r => r.now === null ? '-' : `${formatEndpoint(r.now.source, r.now.sourcePort)} > ${formatEndpoint(r.now.destination, r.now.destinationPort)} ${r.now.phase}` }
  ], rows, io))
  return exitCode.ok
}

async function resync ({ io }: Cli, rgs: readonly string[], options: GroupOptions & ChangeOptions & { readonly timeout: number }): Promise<number> {
  const request = { ...namedOf(rgs, options), timeoutMs: options.timeout, ...mutationOf(io, options) }
  const { groups } = await withProgress(io, 'taking groups from their owner', async () => await withAgent(io, options, async ({ cluster }) => await call(cluster, cluster.resync, request, { deadlineMs: options.timeout + VERIFY_GRACE_MS, signal: io.signal })))
  return await verified(io, options, groups)
}

async function verified (io: Cli['io'], options: CommonOptions, groups: readonly GroupVerification[]): Promise<number> {
  if (options.json === true) await io.out(`${toJson(groups.map(({ provenEqualAtMs, ...g }) => ({ ...g, provenEqualAtMs: provenEqualAtMs ?? null })), 2)}\n`)
  else if (groups.length === 0) await io.out('this node owns every group: ask at the other node\n')
  else {
    const now = Date.now()
    await io.out(table<GroupVerification>([
      { title: 'RG', value: (g) => String(g.rg), align: 'right' }, { title: 'EQUAL', value: (g) => (g.equal ? 'yes' : 'NO') }, { title: 'SESSIONS', value: (g) => String(g.sessions), align: 'right' },
      { title: 'DIFFERENCES', value: (g) => String(g.differences), align: 'right' }, { title: 'PROVEN', value: (g) => age(g.provenEqualAtMs, now), align: 'right' }, { title: 'TOOK', value: (g) => duration(g.tookMs), align: 'right' }
    ], groups, io))
  }
  return groups.every((g) => g.equal) ? exitCode.ok : exitCode.failed
}
