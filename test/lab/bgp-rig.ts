/**
 * Three hosts with a routing daemon each, joined in a triangle's two sides; they end with this process.
 *
 *     a: FRR, AS 65001    169.254.0.0 ---- 169.254.0.1   b: BIRD, AS 65002
 *                         169.254.0.2 ---- 169.254.0.3   c: GoBGP, AS 65003
 *
 * With a table, each daemon takes routes to announce: FRR by way of zebra and BIRD from that routing table of the kernel, GoBGP over its API.
 * A peer that is silent for three seconds is gone. What the runner of the agent makes of it is watched: the default VRF of each daemon has its host's name.
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { BgpEvent } from '../../src/bgp/events.js'
import { kernelProvider } from '../../src/bgp/providers/kernel.js'
import { BgpRunner, providerOf } from '../../src/bgp/runner.js'
import type { BgpNeighbourStatus, BgpSourceSettings } from '../../src/contract/bgp.js'
import { Background, must, which } from './shell.js'
import { skipReason } from './support.js'
import { until } from '../until.js'

export type Host = 'a' | 'b' | 'c'
const bgpd = '/usr/lib/frr/bgpd'
export const HOLD_MS = 3000
export const MAX_AGE_MS = 1500

/** Peers as their neighbour has them. */
export const sessions = { 'a/169.254.0.1': 'b', 'a/169.254.0.3': 'c', 'b/169.254.0.0': 'a', 'c/169.254.0.2': 'a' } as const
export type Session = keyof typeof sessions

/** The reason for tap's `skip`, or false. */
export async function bgpSkip (): Promise<string | false> {
  return await skipReason() || (existsSync(bgpd) ? which('bird') === null ? 'needs bird (bird2)' : which('gobgpd') === null ? 'needs gobgpd' : false : 'needs bgpd (frr)')
}

export class BgpRig {
  readonly events: BgpEvent[] = []
  readonly runner = new BgpRunner({
    onEvent: (event) => { this.events.push(event) },
    provider: source => source.type === 'kernel' ? kernelProvider({ ...source, directory: join(this.directory, 'netns') }) : providerOf(source)
  })
  private readonly daemons = new Map<Host, Background>()
  private zebra: Background | null = null

  private constructor (readonly directory: string, private readonly holders: Readonly<Record<Host, Background>>, private readonly table: number | null, private readonly modules: readonly string[]) {}

  static async open (t: Test, more: readonly BgpSourceSettings[] = [], table: number | null = null, modules: readonly string[] = []): Promise<BgpRig> {
    const directory = mkdtempSync(join(tmpdir(), 'ls-bgp-'))
    chmodSync(directory, 0o755) // bgpd gives up root
    t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
    mkdirSync(join(directory, 'netns'))
    const place = async (name: Host): Promise<Background> => {
      const holder = new Background(`host ${name}`, null, ['unshare', '--net', 'sh', '-c', 'ip link set lo up; echo ready; exec sleep infinity'])
      t.teardown(async () => { await holder.stop('SIGKILL') })
      await holder.says('ready')
      symlinkSync(`/proc/${holder.pid}/ns/net`, join(directory, 'netns', name))
      return holder
    }
    const holders = { a: await place('a'), b: await place('b'), c: await place('c') }
    const rig = new BgpRig(directory, holders, table, modules)
    t.teardown(async () => {
      rig.runner.close()
      await Promise.all([...rig.daemons.values(), ...rig.zebra === null ? [] : [rig.zebra]].map(async (daemon) => {
        daemon.child.kill('SIGCONT')
        await daemon.stop('SIGKILL')
      }))
    })
    for (const [i, far] of (['b', 'c'] as const).entries()) {
      await rig.at('a', 'ip', 'link', 'add', 'name', far, 'type', 'veth', 'peer', 'name', 'a', 'netns', String(holders[far].pid))
      for (const [host, device, address] of [['a', far, 2 * i], [far, 'a', 2 * i + 1]] as const) {
        await rig.at(host, 'ip', 'addr', 'add', `169.254.0.${address}/31`, 'dev', device)
        await rig.at(host, 'ip', 'link', 'set', 'dev', device, 'up')
      }
    }
    for (const host of ['a', 'b', 'c'] as const) await rig.start(host)
    rig.runner.configure({ intervalMs: 200, timeoutMs: 500, maxAgeMs: MAX_AGE_MS, report: null, announce: null, sources: [
      { name: 'a', type: 'frr', vrf: 'a', socket: join(directory, 'a', 'bgpd.vty') }, { name: 'b', type: 'bird', vrf: 'b', socket: join(directory, 'b.ctl') }, { name: 'c', type: 'gobgp', vrf: 'c', address: `unix://${join(directory, 'c.sock')}` },
      { name: 'kernel', type: 'kernel', vrf: null, namespaces: ['a', 'b', 'c'] }, ...more
    ] })
    return rig
  }

  async at (host: Host, ...argv: string[]): Promise<string> { return await must({ netns: null, argv: ['nsenter', `--net=/proc/${this.holders[host].pid}/ns/net`, '--', ...argv] }) }

  /** Runs beside a daemon until the test ends. */
  beside (t: Test, host: Host, ...argv: string[]): Background {
    const child = new Background(`beside ${host}`, null, ['nsenter', `--net=/proc/${this.holders[host].pid}/ns/net`, '--', ...argv])
    t.teardown(async () => { await child.stop('SIGKILL') })
    return child
  }

  /** Says something to bgpd as an operator does. */
  async vtysh (...commands: string[]): Promise<string> { return await must({ netns: null, argv: ['vtysh', '--vty_socket', join(this.directory, 'a'), '-d', 'bgpd', ...commands.flatMap(command => ['-c', command])] }) }

  async start (host: Host): Promise<void> {
    const file = (name: string, text: string): string => { const path = join(this.directory, name); writeFileSync(path, text); return path }
    const run = (...argv: string[]): Background => {
      const daemon = new Background(`daemon of ${host}`, null, ['nsenter', `--net=/proc/${this.holders[host].pid}/ns/net`, '--', ...argv])
      this.daemons.set(host, daemon)
      return daemon
    }
    if (host === 'a') {
      const own = join(this.directory, 'a')
      if (!existsSync(own)) mkdirSync(own, { mode: 0o755 })
      await must({ netns: null, argv: ['chown', 'frr:frr', own] })
      rmSync(join(own, 'bgpd.vty'), { force: true })
      const peers = [['169.254.0.1', 65002], ['169.254.0.3', 65003]] as const
      const config = file('a/bgpd.conf', `${'router bgp 65001\n bgp router-id 10.0.0.1\n no bgp ebgp-requires-policy\n'}${peers.map(([peer, as]) => ` neighbor ${peer} remote-as ${as}\n neighbor ${peer} timers 1 3\n neighbor ${peer} timers connect 1\n neighbor ${peer} disable-connected-check\n`).join('')}${this.table === null ? '' : ` address-family ipv4 unicast\n  redistribute table ${this.table}\n`}`)
      const [zapi, vty] = [['-z', join(own, 'zapi')], ['--vty_socket', own, '-P', '0', '--log', 'stdout']]
      const begun = async (daemon: Background, socket: string): Promise<void> => {
        for (let tries = 0; !existsSync(join(own, socket)); tries++) {
          if (!daemon.running || tries === 200) throw new Error(`${socket} is not there: ${daemon.output}`)
          await sleep(50)
        }
      }
      if (this.table !== null && this.zebra === null) {
        this.zebra = new Background('zebra of a', null, ['nsenter', `--net=/proc/${this.holders.a.pid}/ns/net`, '--', '/usr/lib/frr/zebra', '-f', file('a/zebra.conf', `ip import-table ${this.table}\n`), '-i', join(own, 'zebra.pid'), ...zapi, ...vty])
        await begun(this.zebra, 'zebra.vty')
      }
      await begun(run(bgpd, '-n', ...this.modules.flatMap(name => ['-M', name]), ...this.table === null ? ['-Z'] : [], '-f', config, '-i', join(own, 'pid'), ...zapi, ...vty), 'bgpd.vty')
    } else if (host === 'b') {
      const config = file('b.conf', `router id 10.0.0.2;\nprotocol device {}\n${this.table === null ? '' : `ipv4 table vips;\nprotocol kernel { kernel table ${this.table}; learn; scan time 1; ipv4 { table vips; import all; export none; }; }\nprotocol pipe { table vips; peer table master4; import none; export all; }\n`}protocol bgp peer { local 169.254.0.1 as 65002; neighbor 169.254.0.0 as 65001; hold time 3; keepalive time 1; connect retry time 1; connect delay time 1; error wait time 1, 2; ipv4 { import all; export ${this.table === null ? 'none' : 'all'}; }; }\n`)
      run('bird', '-f', '-c', config, '-s', join(this.directory, 'b.ctl'), '-P', join(this.directory, 'b.pid'))
    } else {
      const config = file('c.toml', '[global.config]\nas = 65003\nrouter-id = "10.0.0.3"\n[[neighbors]]\n[neighbors.config]\nneighbor-address = "169.254.0.2"\npeer-as = 65001\n[neighbors.transport.config]\nlocal-address = "169.254.0.3"\n[neighbors.timers.config]\nhold-time = 3\nkeepalive-interval = 1\nconnect-retry = 1\nidle-hold-time-after-reset = 1\n')
      rmSync(join(this.directory, 'c.sock'), { force: true })
      run('gobgpd', '-f', config, '--api-hosts', `unix://${join(this.directory, 'c.sock')}`, '--pprof-disable')
    }
  }

  signal (host: Host, signal: NodeJS.Signals): void { this.daemons.get(host)?.child.kill(signal) }

  async kill (host: Host): Promise<void> { await this.daemons.get(host)?.stop('SIGKILL') }

  of (session: Session): BgpNeighbourStatus | null {
    const [vrf = '', peer = ''] = session.split('/')
    return this.runner.view.find(peer, vrf)
  }

  get states (): Readonly<Record<Session, string>> { return Object.fromEntries(Object.keys(sessions).map(session => [session, this.of(session as Session)?.state ?? 'none'])) as Record<Session, string> }
  get flaps (): Readonly<Record<Session, number>> { return Object.fromEntries(Object.keys(sessions).map(session => [session, this.of(session as Session)?.flaps ?? -1])) as Record<Session, number> }

  async become (wanted: Partial<Readonly<Record<Session, string>>>): Promise<void> {
    await until(`${JSON.stringify(wanted)}: it is ${JSON.stringify(this.states)}, ${JSON.stringify(this.runner.view.sources().map(({ scope, failed }) => [scope, failed]))}`, () => Object.entries(wanted).every(([session, state]) => this.states[session as Session] === state))
  }
  async allUp (): Promise<void> { await this.become({ 'a/169.254.0.1': 'up', 'a/169.254.0.3': 'up', 'b/169.254.0.0': 'up', 'c/169.254.0.2': 'up' }) }

  /** Names of events of a session, from the number on. */
  told (session: Session, from = 0): string[] { return this.events.slice(from).filter(({ object }) => object === `neighbour ${session}`).map(({ name }) => name) }
}
