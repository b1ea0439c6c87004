/**
 * Links for a backend that forwards between kernel interfaces: one veth for each interface of the suite, the near end with the backend, at the far end
 * (peer.c) what the suite's configuration has at its port: a capture that is played and written, or a traffic source. Neither namespace has a name or
 * says anything of its own: they end with this process.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Desired, Port } from '../../src/contract/desired.js'
import { Background, must, tied } from '../lab/shell.js'
import { udp, writePcap } from './packets.js'

const names = ['a', 'b', 'c'] as const
/** An interface that no test makes: where the suite names a capture that does not exist. */
const ABSENT = 'absent'
const farMac = (name: string): string => `02:00:00:00:fa:0${names.findIndex(n => n === name)}`

class Peer {
  readonly ready: Promise<void>
  listens = false
  private readonly ended: Promise<void>
  private readonly child: ChildProcess

  constructor (netns: string, program: string, readonly argv: readonly string[]) {
    const [command = '', ...args] = tied(null, ['nsenter', `--net=${netns}`, '--', program, ...argv])
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.ended = new Promise((resolve) => { this.child.once('close', () => { resolve() }) })
    this.ready = new Promise((resolve, reject) => {
      this.child.stdout?.once('data', () => { this.listens = true; resolve() })
      this.child.once('error', reject)
      void this.ended.then(() => { reject(new Error(`${argv.join(' ')} ended`)) })
    })
    this.ready.catch(() => undefined) // whoever waits for it hears of it
    this.child.stdin?.on('error', () => undefined)
  }

  play (): void { this.child.stdin?.write('go\n') }

  async stop (): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
  }
}

interface Wire {
  /** What the link was made with, no other one has it; and what it has now. */
  readonly born: string
  mac: string
  /** The port that the configuration has at this link; `null` = none yet. */
  port: Port | null
  peer: Peer | null
}

export class Wires {
  private readonly wires = new Map<string, Wire>()
  private readonly ending: Array<Promise<void>> = []
  private links = 0

  private constructor (private readonly near: Background, private readonly far: Background, private readonly directory: string) {}

  static async open (): Promise<Wires> {
    const place = async (name: string): Promise<Background> => {
      const holder = new Background(name, null, ['unshare', '--net', 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; echo ready; exec sleep infinity'])
      await holder.says('ready')
      return holder
    }
    const directory = mkdtempSync(join(tmpdir(), 'ls-wires-'))
    const wires = new Wires(await place('near end'), await place('far end'), directory)
    const source = fileURLToPath(new URL('../../../test/conformance/peer.c', import.meta.url))
    try {
      await must({ netns: null, argv: ['cc', '-std=gnu11', '-O2', '-Wall', '-o', wires.program, source] }, 60_000)
      for (const name of names) wires.add(name)
    } catch (error) {
      await wires.close()
      throw error
    }
    return wires
  }

  private get program (): string { return join(this.directory, 'peer') }
  private place (holder: Background): string { return `/proc/${holder.pid}/ns/net` }
  /** Of the near ends. */
  get netns (): string { return this.place(this.near) }

  private inside (holder: Background, ...argv: string[]): void { execFileSync('nsenter', [`--net=${this.place(holder)}`, '--', ...argv], { stdio: ['ignore', 'ignore', 'inherit'] }) }

  add (name: string): void {
    const mac = `02:00:00:00:ea:${(this.links++).toString(16).padStart(2, '0')}`
    this.inside(this.near, 'ip', 'link', 'add', 'name', name, 'address', mac, 'type', 'veth', 'peer', 'name', name, 'netns', String(this.far.pid), 'address', farMac(name))
    for (const end of [this.far, this.near]) {
      this.inside(end, 'ethtool', '-K', name, 'gro', end === this.far ? 'on' : 'off', 'tx', 'off', 'tso', 'off', 'gso', 'off') // programs redirect only to an end whose peer has GRO, and had it when that end came up (R34)
      this.inside(end, 'ip', 'link', 'set', 'dev', name, 'up')
    }
    this.wires.set(name, { born: mac, mac, port: null, peer: null })
  }

  /** Both ends, and what is at the far one. */
  remove (name: string): void {
    const wire = this.wires.get(name)
    if (wire !== undefined) this.release(wire)
    this.wires.delete(name)
    this.inside(this.near, 'ip', 'link', 'del', 'dev', name)
  }

  /** `d` on these links, which are made ready for it: MAC addresses, far ends. A source with other settings than before is behind another link. */
  bind (d: Desired): Desired {
    const devices = new Map(d.ports.map(port => [port.name, port.input !== null && !existsSync(port.input) ? ABSENT : d.interfaces.find(i => i.port === port.name)?.name ?? '']))
    const device = (port: string): string => devices.get(port) ?? ''
    for (const [name, wire] of [...this.wires]) {
      const port = d.ports.find(p => device(p.name) === name) ?? null
      if (JSON.stringify(port) === JSON.stringify(wire.port)) continue
      if (wire.port?.kind === 'source' && port?.kind === 'source') {
        this.remove(name)
        this.add(name)
      }
      this.release(wire)
      this.equip(name, port)
    }
    return {
      ...d, agent: { ...d.agent, netns: this.netns },
      ports: d.ports.map(p => ({ ...p, name: device(p.name), kind: 'packet', device: device(p.name), mac: null, input: null, output: null, replay: null, source: null })),
      interfaces: d.interfaces.map(i => ({ ...i, port: device(i.port) }))
    }
  }

  private equip (name: string, port: Port | null): void {
    const wire = this.wires.get(name)
    if (wire === undefined || port === null) return
    wire.port = port
    const mac = port.mac ?? wire.born
    if (mac !== wire.mac) this.inside(this.near, 'ip', 'link', 'set', 'dev', name, 'address', mac)
    wire.mac = mac
    const argv = this.played(name, port, mac)
    if (argv !== null) wire.peer = new Peer(this.place(this.far), this.program, [name, ...argv])
  }

  /** What the far end does; `null` = nothing. */
  private played (name: string, port: Port, mac: string): string[] | null {
    const { source } = port
    if (port.kind === 'pcap') return port.input === null || port.output === null ? null : ['play', port.input, port.output]
    if (source?.mode !== 'open') return ['answer']
    const file = join(this.directory, `${name}.flows`)
    const [from, to] = [source.source ?? '', source.destination ?? '']
    writePcap(file, Array.from({ length: source.flows }, (_, i) => udp({ from, to, smac: farMac(name), dmac: mac }, 1024 + i, source.port, Array<number>(20).fill(0))))
    return ['repeat', file, String(source.rate)]
  }

  private release (wire: Wire): void {
    if (wire.peer !== null) this.ending.push(wire.peer.stop())
    wire.peer = null
    wire.port = null
  }

  /** MAC addresses of the near ends. */
  macs (): ReadonlyMap<string, string> { return new Map([...this.wires].map(([name, wire]) => [name, wire.mac])) }

  settled (): boolean { return this.ending.length === 0 && [...this.wires.values()].every(({ peer }) => peer?.listens !== false) }

  /** Every far end listens, and those of before are gone. */
  async ready (): Promise<void> {
    await Promise.all(this.ending.splice(0))
    for (const { peer } of this.wires.values()) await peer?.ready
  }

  /** They begin to send, those that did not yet. */
  play (): void { for (const { peer } of this.wires.values()) peer?.play() }

  /** Nothing is at the far ends. */
  async clear (): Promise<void> {
    for (const wire of this.wires.values()) this.release(wire)
    await this.ready()
  }

  async close (): Promise<void> {
    await this.clear()
    for (const holder of [this.near, this.far]) await holder.stop('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }
}
