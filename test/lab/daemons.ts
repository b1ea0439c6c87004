/** Daemons of a real host, in a namespace of the lab: sshd, and bgpd of FRR. Each with files of its own in the lab's directory. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Background, must } from './shell.js'
import type { HostName, Topology } from './topology.js'

// --- SSH ---

/** sshd insists on this folder. */
const PRIVSEP = '/run/sshd'

export interface Sshd {
  /** A session whose far side counts aloud, ten lines a second, until it is ended. */
  readonly session: (from: HostName, to: string) => SshSession
  readonly stop: () => Promise<void>
}

export interface SshSession {
  readonly process: Background
  /** Lines so far. */
  readonly lines: () => number
  /** Every line came, in order. */
  readonly whole: () => boolean
  /** Longest time between two pieces of output. */
  readonly longestGapMs: () => number
}

export async function startSshd (topology: Topology, host: HostName): Promise<Sshd> {
  const directory = join(topology.directory, 'ssh')
  mkdirSync(directory, { mode: 0o700 })
  const [hostKey, userKey, known] = [join(directory, 'host'), join(directory, 'user'), join(directory, 'known')]
  for (const key of [hostKey, userKey]) await must({ netns: null, argv: ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key] })
  const config = join(directory, 'sshd_config')
  writeFileSync(config, `HostKey ${hostKey}
AuthorizedKeysFile ${userKey}.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
`)
  const ours = !existsSync(PRIVSEP)
  if (ours) mkdirSync(PRIVSEP, { mode: 0o755 })
  const server = new Background('sshd', topology.netns(host), ['/usr/sbin/sshd', '-D', '-e', '-f', config])
  const sessions: Background[] = []
  const stop = async (): Promise<void> => {
    // The far sides hold the server's output until they notice that nobody reads theirs.
    for (const s of sessions) await s.stop()
    await server.stop()
    if (ours) rmSync(PRIVSEP, { recursive: true, force: true })
  }
  await server.says('Server listening on 0.0.0.0').catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return {
    session: (from, to) => {
      const process = new Background(`ssh ${to}`, topology.netns(from), ['ssh', '-F', 'none', '-i', userKey, '-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${known}`, '-o', 'LogLevel=ERROR', '-o', 'BatchMode=yes', `root@${to}`,
        'n=0; while echo $n; do n=$((n + 1)); sleep 0.1; done'])
      sessions.push(process)
      let last = 0
      let gap = 0
      process.child.stdout?.on('data', () => {
        const now = performance.now()
        if (last > 0) gap = Math.max(gap, now - last)
        last = now
      })
      const numbers = (): string[] => process.output.split('\n').slice(0, -1)
      return { process, lines: () => numbers().length, whole: () => numbers().every((line, i) => line === String(i)), longestGapMs: () => gap }
    },
    stop
  }
}

// --- BGP ---

const bgpdProgram = '/usr/lib/frr/bgpd'
/** Why there is no BGP speaker; false: there is one. */
export const bgpRefusal = (): string | false => existsSync(bgpdProgram) ? false : 'needs bgpd (frr)'

export interface BgpPeer { readonly address: string, readonly as: number, readonly passive: boolean }
/** Of one peer: what it is now, and how often it ever was established and dropped. */
export interface BgpState { readonly state: string, readonly established: number, readonly dropped: number, readonly prefixes: number }

export interface Bgpd {
  readonly states: () => Promise<Readonly<Record<string, BgpState>>>
  readonly stop: () => Promise<void>
}

/** FRR's bgpd alone: it speaks BGP, no route goes to the kernel. A peer that is silent for three seconds is gone. */
export async function startBgpd (topology: Topology, host: HostName, o: { readonly as: number, readonly id: string, readonly network: string, readonly peers: readonly BgpPeer[] }): Promise<Bgpd> {
  const directory = join(topology.directory, `bgp-${host}`)
  mkdirSync(directory, { mode: 0o755 })
  await must({ netns: null, argv: ['chown', 'frr:frr', directory] }) // it gives up root and makes its sockets here
  const config = join(directory, 'bgpd.conf')
  const peer = (p: BgpPeer): string => ` neighbor ${p.address} remote-as ${p.as}
 neighbor ${p.address} timers 1 3
 neighbor ${p.address} timers connect 1
${p.passive ? ` neighbor ${p.address} passive\n` : ''}`
  writeFileSync(config, `router bgp ${o.as}
 bgp router-id ${o.id}
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
${o.peers.map(peer).join('')} address-family ipv4 unicast
  network ${o.network}
${o.peers.map((p) => `  neighbor ${p.address} activate\n`).join('')} exit-address-family
`)
  const daemon = new Background(`bgpd ${host}`, topology.netns(host), [bgpdProgram, '-n', '-Z', '-f', config, '-i', join(directory, 'pid'), '-z', join(directory, 'zapi'), '--vty_socket', directory, '-P', '0', '--log', 'stdout'])
  const ask = async (): Promise<Record<string, { bgpState: string, connectionsEstablished: number, connectionsDropped: number, addressFamilyInfo?: { ipv4Unicast?: { acceptedPrefixCounter?: number } } }>> =>
    JSON.parse(await must({ netns: topology.netns(host), argv: ['vtysh', '--vty_socket', directory, '-d', 'bgpd', '-c', 'show bgp neighbors json'] })) as Awaited<ReturnType<typeof ask>>
  for (let tries = 0; !existsSync(join(directory, 'bgpd.vty')); tries++) {
    if (!daemon.running || tries === 100) throw new Error(`bgpd does not start: ${daemon.output}`)
    await sleep(50)
  }
  return {
    states: async () => Object.fromEntries(Object.entries(await ask()).map(([address, p]) => [address, {
      state: p.bgpState, established: p.connectionsEstablished, dropped: p.connectionsDropped, prefixes: p.addressFamilyInfo?.ipv4Unicast?.acceptedPrefixCounter ?? 0
    }])),
    stop: async () => { await daemon.stop() }
  }
}
