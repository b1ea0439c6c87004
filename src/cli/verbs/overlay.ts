/** vip put, vip delete; real put, delete, weight, drain, restore; overlay list: what is changed while the agent runs, beside the configuration. */
import type { Command } from 'commander'
import type { LoadBalancerGetOverlayResponse, OverlayHold, OverlayReal, OverlayTerms } from '../../generated/proto/lockstep/v1/load_balancer.js'
import { formatAddress, parseAddress, parseEndpoint } from '../../lib/address.js'
import { withAgent } from '../agent-link.js'
import { changeVerb, mutationOf, type ChangeOptions } from '../changing.js'
import { call } from '../client.js'
import { exitCode, usageError } from '../exit-codes.js'
import { duration, parseDuration, parseSmall } from '../format.js'
import { toJson } from '../../lib/json.js'
import { table } from '../table.js'
import { action, listVerb, printList, type Cli, type CommonOptions, type ListOptions } from '../verb.js'

interface TermOptions extends ChangeOptions { readonly owner: string, readonly reason: string, readonly ttl?: number }

const kept = 'It is kept over applies and restarts until its end, and the other node of a pair has it too.'

export function addOverlay (vip: Command, parent: Command, cli: Cli): void {
  const held = (verb: Command): Command => verb
    .option('--owner <name>', 'whose it is: only the same owner replaces or deletes it', 'operator')
    .option('--reason <text>', 'why, for whoever sees it', '')
    .option('--ttl <duration>', 'ends by itself after this time, for example 30s; default: never', parseDuration)
  const done = async (options: CommonOptions, text: string): Promise<number> => {
    await cli.io.out(options.json === true ? `${toJson({ done: text })}\n` : `${text}\n`)
    return exitCode.ok
  }

  held(changeVerb(vip, {
    usage: 'put <name> <address>', summary: 'Put a VIP that the configuration does not have',
    about: `It forwards from its first real on: \`real put\`. ${kept}`, examples: ['vip put api 192.0.2.9 --port 443 --healthcheck tcp', 'vip put api 192.0.2.9 --port 443 --owner controller --ttl 30s']
  })
    .option('--port <n>', 'default: any', parseSmall).option('--protocol <name>', 'tcp, udp or any', 'tcp').option('--mode <name>', 'nat, l2, ipip or gre', 'nat')
    .option('--group <n>', 'redundancy group', parseSmall).option('--healthcheck <name>', 'one of the configured checks').option('--sticky', 'all flows of a client address go to one real'))
    .action(action(cli, async (name: string, address: string, o: TermOptions & { readonly port?: number, readonly protocol: string, readonly mode: string, readonly group?: number, readonly healthcheck?: string, readonly sticky?: boolean }) => {
      await withAgent(cli.io, o, async ({ loadBalancer }) => await call(loadBalancer, loadBalancer.putVip, {
        vip: { name, address, port: o.port ?? 0, protocol: o.protocol, mode: o.mode, rg: o.group ?? 0, sourceIpSticky: o.sticky ?? false, healthcheck: o.healthcheck ?? '' }, terms: termsOf(o), ...mutationOf(cli.io, o)
      }))
      return await done(o, `${name}: put`)
    }))
  changeVerb(vip, { usage: 'delete <name>', summary: 'Take back a VIP that was put', about: 'With the reals and weights that were put for it.', examples: ['vip delete api', 'vip delete api --owner controller'] })
    .option('--owner <name>', 'who put it', 'operator')
    .action(action(cli, async (name: string, o: TermOptions) => {
      await withAgent(cli.io, o, async ({ loadBalancer }) => await call(loadBalancer, loadBalancer.deleteVip, { name, owner: o.owner, ...mutationOf(cli.io, o) }))
      return await done(o, `${name}: deleted`)
    }))

  const real = parent.command('real').summary('servers of VIPs: put, weigh, drain').description('Servers of VIPs, changed while the agent runs.')
  held(changeVerb(real, {
    usage: 'put <vip> <reals...>', summary: 'Put reals into a VIP, instead of those that this owner put before',
    about: `A real is ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, and may end with =WEIGHT. Those of the configuration and of other owners stay. ${kept}`, examples: ['real put api 10.0.0.7 10.0.0.8=50', 'real put api [2001:db8::7]:8443 --owner controller --ttl 30s']
  }).option('--pool <name>', 'pool of the VIP, made when it is not there; default: the first', ''))
    .action(action(cli, async (name: string, reals: string[], o: TermOptions & { readonly pool: string }) => {
      await withAgent(cli.io, o, async ({ loadBalancer }) => await call(loadBalancer, loadBalancer.putReals, { vip: name, pool: o.pool, reals: reals.map(realOf), terms: termsOf(o), ...mutationOf(cli.io, o) }))
      return await done(o, `${name}: ${reals.length} reals of ${o.owner}`)
    }))
  changeVerb(real, { usage: 'delete <vip>', summary: 'Take back the reals that an owner put', about: 'All of them.', examples: ['real delete api', 'real delete api --owner controller'] })
    .option('--owner <name>', 'who put them', 'operator')
    .action(action(cli, async (name: string, o: TermOptions) => {
      await withAgent(cli.io, o, async ({ loadBalancer }) => await call(loadBalancer, loadBalancer.deleteReals, { vip: name, owner: o.owner, ...mutationOf(cli.io, o) }))
      return await done(o, `${name}: no reals of ${o.owner}`)
    }))
  held(changeVerb(real, { usage: 'weight <real> <weight>', summary: 'Give a real another weight than the configured one', about: `A real is VIP/REAL, as \`vip list\` names them; 0 to 100. ${kept}`, examples: ['real weight www/one 10 --reason "new version" --ttl 1h'] }))
    .action(action(cli, async (which: string, weight: string, o: TermOptions) => await adjust(which, parseSmall(weight), false, o)))
  held(changeVerb(real, { usage: 'drain <real>', summary: 'Send a real no new flows; those that are go on', about: `A real is VIP/REAL, as \`vip list\` names them. ${kept}`, examples: ['real drain www/one --reason "kernel update"'] }))
    .action(action(cli, async (which: string, o: TermOptions) => await adjust(which, undefined, true, o)))
  changeVerb(real, { usage: 'restore <real>', summary: 'The weight of a real is the configured one again, drained or not', about: 'A real is VIP/REAL.', examples: ['real restore www/one'] })
    .action(action(cli, async (which: string, o: ChangeOptions) => {
      await withAgent(cli.io, o, async ({ loadBalancer }) => await call(loadBalancer, loadBalancer.restoreReal, { ...split(which), ...mutationOf(cli.io, o) }))
      return await done(o, `${which}: as configured`)
    }))
  const adjust = async (which: string, weight: number | undefined, drain: boolean, o: TermOptions): Promise<number> => {
    await withAgent(cli.io, o, async ({ loadBalancer }) => await call(loadBalancer, loadBalancer.adjustReal, { ...split(which), weight, drain, terms: termsOf(o), ...mutationOf(cli.io, o) }))
    return await done(o, `${which}: ${drain ? 'drained' : `weight ${weight ?? ''}`}`)
  }

  const overlay = parent.command('overlay').summary('what was put while the agent runs').description('What was put while the agent runs, beside the configuration.')
  listVerb(overlay, { usage: 'list', summary: 'Show VIPs, reals and weights that were put, by whom, why and until when', about: kept, examples: ['overlay list', 'overlay list --json'] })
    .action(action(cli, async (o: ListOptions) => {
      const all = await withAgent(cli.io, o, async ({ loadBalancer }) => await call(loadBalancer, loadBalancer.getOverlay, {}))
      const each = Object.entries(all).flatMap(([what, list]) => (list as readonly object[]).map(one => ({ what, ...one })))
      await printList(cli.io, o, each, () => overlayTable(cli, all), all)
      return exitCode.ok
    }))
}

const termsOf = ({ owner, reason, ttl }: TermOptions): OverlayTerms => ({ owner, reason, ttlMs: BigInt(ttl ?? 0) })

/** VIP/REAL: names of VIPs have no slash. */
function split (which: string): { readonly vip: string, readonly real: string } {
  const at = which.indexOf('/')
  if (at < 1 || at === which.length - 1) throw usageError('not a real', which, 'VIP/REAL')
  return { vip: which.slice(0, at), real: which.slice(at + 1) }
}

export function realOf (text: string): OverlayReal {
  const [where = '', weight] = text.split('=')
  const alone = parseAddress(where)
  const found = alone === null ? parseEndpoint(where) : { address: alone, port: 0 }
  if (found === null) throw usageError('not a real', text, 'ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT, and =WEIGHT behind it')
  return { address: formatAddress(found.address), port: found.port, weight: weight === undefined ? undefined : parseSmall(weight), name: '', healthcheck: '' }
}

interface Row { readonly what: string, readonly is: string, readonly hold: OverlayHold | undefined }

function overlayTable ({ io }: Cli, { vips, reals, adjusted }: LoadBalancerGetOverlayResponse): string {
  const rows: Row[] = [
    ...vips.map(({ vip, hold }) => ({ what: `vip ${vip?.name ?? ''}`, is: `${vip?.address ?? ''} ${vip?.protocol === '' ? 'tcp' : vip?.protocol ?? ''}/${vip?.port === 0 ? 'any' : vip?.port ?? ''}`, hold })),
    ...reals.map(({ vip, reals, hold }) => ({ what: `reals of ${vip}`, is: reals.map(r => `${r.address}${r.port === 0 ? '' : ` port ${r.port}`}${r.weight === undefined ? '' : ` weight ${r.weight}`}`).join(', '), hold })),
    ...adjusted.map(({ vip, real, weight, drained, hold }) => ({ what: `real ${vip}/${real}`, is: drained ? 'drained' : `weight ${weight ?? 'as configured'}`, hold }))
  ]
  if (rows.length === 0) return 'nothing was put\n'
  return table<Row>([
    { title: 'WHAT', value: r => r.what }, { title: 'IS', value: r => r.is }, { title: 'OWNER', value: r => r.hold?.owner ?? '' },
    { title: 'FOR', value: r => duration(Math.max(0, Date.now() - Number(r.hold?.sinceMs ?? 0n))), align: 'right', drop: 2 },
    { title: 'ENDS', value: r => r.hold === undefined || r.hold.untilMs === 0n ? 'never' : `in ${duration(Math.max(0, Number(r.hold.untilMs) - Date.now()))}`, align: 'right' }, { title: 'REASON', value: r => r.hold?.reason ?? '', drop: 1 }
  ], rows, io)
}
