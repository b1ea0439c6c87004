/**
 * Interfaces on which VPP's load balancer looks for answers of translated reals. What comes in there and is no such answer it drops, so they are named by the
 * operator. VPP does not say which it has been told: each of its lives is told anew, once for each interface and family.
 */
import { VppRefusal, type VppClient } from '../client.js'

const messages = ['lb_add_del_intf_nat4_47d6e753', 'lb_add_del_intf_nat6_47d6e753'] as const

export class NatInterfaces {
  private readonly told = new Set<number>()

  constructor (private readonly client: VppClient) {}

  /** Of these interfaces of VPP those with these names; what VPP has not yet is left for later. */
  async enable (names: readonly string[], interfaces: ReadonlyArray<{ readonly name: string, readonly device: number }>): Promise<void> {
    for (const { name, device: sw_if_index } of interfaces) {
      if (!names.includes(name) || this.told.has(sw_if_index)) continue
      this.told.add(sw_if_index)
      for (const message of messages) {
        await this.client.call(message, { is_add: true, sw_if_index }).catch((error: unknown) => { if (!(error instanceof VppRefusal)) throw error }) // it was told already
      }
    }
  }
}
