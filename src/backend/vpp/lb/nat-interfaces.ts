/**
 * Interfaces on which VPP's load balancer looks for answers of translated reals. What comes in there and is no such answer it drops, so they are named by the
 * operator. VPP does not say which it has been told: each of its lives is told anew, once for each interface and family.
 */
import { VppRefusal, type VppClient } from '../client.js'

const messages = ['lb_add_del_intf_nat4_47d6e753', 'lb_add_del_intf_nat6_47d6e753'] as const
const ALL = 0xffffffff

export class NatInterfaces {
  private readonly told = new Set<number>()

  constructor (private readonly client: VppClient) {}

  /** Names that VPP has no interface for are left for later. */
  async enable (names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    const all = await this.client.dump('sw_interface_dump_aa610c27', { sw_if_index: ALL, name_filter_valid: false, name_filter: '' })
    for (const { interface_name: name, sw_if_index } of all) {
      if (!names.includes(name) || this.told.has(sw_if_index)) continue
      this.told.add(sw_if_index)
      for (const message of messages) {
        await this.client.call(message, { is_add: true, sw_if_index }).catch((error: unknown) => { if (!(error instanceof VppRefusal)) throw error }) // it was told already
      }
    }
  }
}
