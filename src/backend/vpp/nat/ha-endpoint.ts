/**
 * The socket of NAT HA: one UDP port is VPP's failover peer and the source of what is put into VPP's listener, as VPP answers to where a datagram came from. It
 * hears only VPP's own address and port. Everything that is decided is decided in ha-receiver.ts and ha-sender.ts; datagrams that cannot be sent are counted,
 * and sent again as those that were lost. Thread: the event loop.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { LockstepError } from '../../../contract/errors.js'
import { formatEndpoint } from '../../../lib/address.js'
import { monotonicMs } from '../../../lib/monotonic.js'
import { HaReceiver, type HaMissed, type HaReceiverOptions } from './ha-receiver.js'
import { HaSender, type HaFailed, type HaSenderOptions } from './ha-sender.js'
import type { HaEvent } from './ha-wire.js'

export interface HaEndpointOptions {
  /** Of ours, IPv4: VPP's failover. Port 0: one that is free. */
  readonly address: string
  readonly port: number
  /** VPP's listener. */
  readonly peer: { readonly address: string, readonly port: number }
  /** To apply in order; VPP is answered when it returns. It must not throw. */
  readonly onEvents: (events: readonly HaEvent[]) => void
  /** Read all sessions of VPP anew; called before the events that came with it. */
  readonly onMissed: (missed: readonly HaMissed[]) => void
  /** VPP did not answer to these. */
  readonly onFailed: (failed: readonly HaFailed[]) => void
  readonly receiver?: HaReceiverOptions
  readonly sender?: HaSenderOptions
  readonly nowMs?: () => number
}

/** `strangers`: from elsewhere than VPP. `unsent`: datagrams that the socket refused; `reason`: the last time it did. */
export interface HaEndpointTally { strangers: number, unsent: number, reason: string | null }

/** What the kernel holds while the event loop is busy; it gives less if net.core.rmem_max is less. */
const RECEIVE_BYTES = 4 << 20
const TIMER_MAX_MS = 60_000

export class HaEndpoint {
  readonly tally: HaEndpointTally = { strangers: 0, unsent: 0, reason: null }
  readonly receiver: HaReceiver
  readonly sender: HaSender
  private timer: NodeJS.Timeout | null = null
  private closing: Promise<void> | null = null

  private constructor (private readonly o: HaEndpointOptions, private readonly socket: Socket) {
    this.receiver = new HaReceiver(o.receiver)
    this.sender = new HaSender({ firstSequence: Math.floor(Math.random() * 2 ** 32), ...o.sender })
    socket.on('message', (bytes, from) => { this.receive(bytes, from) })
    socket.on('error', (error) => { this.refused(error) })
  }

  /** @throws unavailable LS_V_HA_IN_USE, LS_V_HA_SOCKET · invalid LS_V_HA_ADDRESS, LS_V_HA_DENIED */
  static async open (o: HaEndpointOptions): Promise<HaEndpoint> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BYTES })
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        socket.bind({ address: o.address, port: o.port }, () => {
          socket.off('error', reject)
          resolve()
        })
      })
    } catch (error) {
      socket.close()
      throw whyNot(error, formatEndpoint(o.address, o.port))
    }
    return new HaEndpoint(o, socket)
  }

  get port (): number { return this.socket.address().port }

  /** Puts sessions into VPP. How many, from the first, were taken: the others found the queue full. @throws invalid LS_V_VALUE, and none was taken */
  inject (events: readonly HaEvent[]): number {
    const taken = this.sender.offer(events)
    this.run()
    return taken
  }

  /** VPP begins a new life: all that was on its way is void. The events of it. */
  restart (): readonly HaEvent[] {
    this.receiver.restart()
    const dropped = this.sender.drop()
    this.run()
    return dropped
  }

  /** No callback comes after it was called. */
  async close (): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.closing ??= new Promise((resolve) => { this.socket.close(resolve) })
    await this.closing
  }

  private receive (bytes: Buffer, from: RemoteInfo): void {
    if (this.over) return
    const { peer } = this.o
    if (from.address !== peer.address || from.port !== peer.port) {
      this.tally.strangers++
      return
    }
    const { events, reply, missed, ack } = this.receiver.receive(bytes, this.nowMs())
    if (missed.length > 0) this.o.onMissed(missed)
    if (events.length > 0) this.o.onEvents(events)
    if (reply !== null) this.send(reply)
    if (ack !== null) this.sender.acknowledge(ack)
    this.run()
  }

  /** All that is due, and the timer for what will be. */
  private run (): void {
    if (this.over) return
    const now = this.nowMs()
    const missed = this.receiver.poll(now)
    const { datagrams, failed, nextMs } = this.sender.poll(now)
    for (const datagram of datagrams) this.send(datagram)
    if (this.timer !== null) clearTimeout(this.timer)
    const due = [nextMs, this.receiver.nextMs].filter(ms => ms !== null)
    this.timer = due.length === 0 ? null : setTimeout(() => { this.run() }, Math.min(TIMER_MAX_MS, Math.max(1, Math.ceil(Math.min(...due) - now))))
    if (missed.length > 0) this.o.onMissed(missed)
    if (failed.length > 0 && !this.over) this.o.onFailed(failed)
  }

  private send (datagram: Buffer): void {
    if (this.over) return
    this.socket.send(datagram, this.o.peer.port, this.o.peer.address, (error) => { if (error !== null) this.refused(error) })
  }

  private refused (error: Error): void {
    this.tally.unsent++
    this.tally.reason = error.message
  }

  private get over (): boolean { return this.closing !== null }
  private nowMs (): number { return (this.o.nowMs ?? monotonicMs)() }
}

function whyNot (error: unknown, object: string): LockstepError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const found = code === '' ? String(error) : code
  switch (code) {
    case 'EADDRINUSE': return new LockstepError('unavailable', 'LS_V_HA_IN_USE', 'the port of NAT HA is taken', { object, found, next: 'find who has it with ss -ulpn, or choose another and tell it to VPP as its failover' }, error)
    case 'EADDRNOTAVAIL': return new LockstepError('invalid', 'LS_V_HA_ADDRESS', 'the address of NAT HA is none of this host', { object, found, next: 'give it to the interface that leads to VPP, or choose one of ip -4 address' }, error)
    case 'EACCES': return new LockstepError('invalid', 'LS_V_HA_DENIED', 'the port of NAT HA may not be used', { object, found, next: 'choose one above 1023, or give the agent CAP_NET_BIND_SERVICE' }, error)
    default: return new LockstepError('unavailable', 'LS_V_HA_SOCKET', 'the socket of NAT HA cannot be opened', { object, found, next: 'see errno(3) for what was found' }, error)
  }
}
