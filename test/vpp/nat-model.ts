/** The NAT44-EI of ModelServer: sessions in memory, and HA datagrams on 127.0.0.2, as the real one sends and takes them (test/unit/backend/vpp/nat-ha.test.ts has their bytes). */
import { createSocket, type Socket } from 'node:dgram'
import type { Test } from 'tap'
import { decodeHa, encodeHa, encodeHaAck, haEventBytes, haKeyOf, type HaEvent } from '../../src/backend/vpp/nat/ha-wire.js'
import type { Values } from '../../src/backend/vpp/codec.js'

export class NatModel {
  enabled = true
  workers = 0
  /** Datagrams are not answered. */
  silent = false
  sessions = new Map<string, HaEvent>()
  readonly listener = { ip_address: '0.0.0.0', port: 0, path_mtu: 0 }
  readonly failover = { ip_address: '0.0.0.0', port: 0, session_refresh_interval: 0 }
  private sequence = 0

  private constructor (private readonly socket: Socket) {
    socket.on('message', (bytes, from) => { this.hear(bytes, (answer) => { socket.send(answer, from.port, from.address) }) })
  }

  static async open (t: Test): Promise<NatModel> {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve) => { socket.bind(0, '127.0.0.2', resolve) })
    t.teardown(() => { socket.close() })
    return new NatModel(socket)
  }

  get port (): number { return this.socket.address().port }

  /** A life that knows nothing of the one before. */
  restart (): void {
    this.sessions.clear()
    this.sequence = 0
    Object.assign(this.listener, { ip_address: '0.0.0.0', port: 0, path_mtu: 0 })
    Object.assign(this.failover, { ip_address: '0.0.0.0', port: 0 })
  }

  /** By packets. */
  open (...events: readonly HaEvent[]): void {
    for (const event of events) this.sessions.set(haKeyOf(event), event)
    this.tell(events)
  }

  end (event: HaEvent): void {
    this.sessions.delete(haKeyOf(event))
    this.tell([{ ...event, kind: 'delete', insideAddress: '0.0.0.0', insidePort: 0 }])
  }

  private tell (events: readonly HaEvent[]): void {
    if (this.failover.port !== 0) this.socket.send(encodeHa({ thread: 0, sequence: this.sequence++ }, events.map(haEventBytes)), this.failover.port, this.failover.ip_address)
  }

  private hear (bytes: Buffer, answer: (bytes: Buffer) => void): void {
    const datagram = decodeHa(bytes)
    if (datagram.kind !== 'events' || this.silent || this.listener.port === 0) return
    for (const event of datagram.events) {
      const taken = [...this.sessions.values()].some(({ protocol, insideAddress, insidePort }) => protocol === event.protocol && insideAddress === event.insideAddress && insidePort === event.insidePort)
      if (event.kind === 'delete') this.sessions.delete(haKeyOf(event))
      else if (!taken) this.sessions.set(haKeyOf(event), event)
    }
    answer(encodeHaAck(datagram))
  }

  /** `null`: it is nothing of NAT. */
  answer (key: string, asked: Values): Values | null {
    switch (key) {
      case 'show_threads_51077d14': {
        const thread = (name: string, type: string): Values => ({ id: 0, name, type, pid: 1, cpu_id: 0, core: 0, cpu_socket: 0 })
        const all = [thread('vpp_main', ''), ...Array.from({ length: this.workers }, (_, i) => thread(`vpp_wk_${i}`, 'workers'))]
        return { retval: 0, count: all.length, thread_data: all }
      }
      case 'nat44_ei_show_running_config_51077d14': {
        const sessions = this.enabled ? 10_000 : 0
        return { retval: 0, inside_vrf: 0, outside_vrf: 0, users: 0, sessions, user_sessions: 0, user_buckets: 0, translation_buckets: 0, forwarding_enabled: false, ipfix_logging_enabled: false, timeouts: { udp: 300, tcp_established: 7440, tcp_transitory: 240, icmp: 60 }, log_level: 0, flags: 0 }
      }
      case 'nat44_ei_ha_get_listener_51077d14': return { retval: 0, ...this.listener }
      case 'nat44_ei_ha_get_failover_51077d14': return { retval: 0, ...this.failover }
      case 'nat44_ei_ha_set_listener_e4a8cb4e': Object.assign(this.listener, asked); return { retval: 0 }
      case 'nat44_ei_ha_set_failover_718246af': Object.assign(this.failover, asked); return { retval: 0 }
      default: return null
    }
  }

  /** `null`: as above. */
  rows (key: string, asked: Values): Values[] | null {
    const all = [...this.sessions.values()]
    if (key === 'nat44_ei_user_dump_51077d14') return [...new Set(all.map(({ insideAddress }) => insideAddress))].map(ip_address => ({ vrf_id: 0, ip_address, nsessions: 1, nstaticsessions: 0 }))
    if (key !== 'nat44_ei_user_session_v2_dump_e1899c98') return null
    return all.filter(({ insideAddress }) => insideAddress === asked['ip_address']).map(e => ({
      outside_ip_address: e.outsideAddress, outside_port: e.outsidePort, inside_ip_address: e.insideAddress, inside_port: e.insidePort, protocol: e.protocol, flags: 0, last_heard: 0n, time_since_last_heard: 0n,
      total_bytes: e.bytes, total_pkts: e.packets, ext_host_address: e.externalAddress, ext_host_port: e.externalPort
    }))
  }
}
