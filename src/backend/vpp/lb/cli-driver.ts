/**
 * The lb plugin of VPP 22.02 to 26.06 by its CLI. It has no weights: a real is there or not, and the flows of one that is removed go on unless they are flushed.
 * What is removed is collected only when some lb command runs, which reading does.
 */
import { LockstepError } from '../../../contract/errors.js'
import type { VppClient } from '../client.js'
import type { LbDriver } from './driver.js'
import type { Operation } from './plan.js'
import type { LbSettings, Observed, VipKey } from './state.js'
import { parseSettings, parseVips } from './verbose.js'

const protocols: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp' }
const service = ({ prefix, protocol, port }: VipKey): string => port === 0 ? prefix : `${prefix} protocol ${protocols[protocol] ?? protocol} port ${port}`

export class CliDriver implements LbDriver {
  readonly weights = false
  /** The CLI does not tell them. */
  private told: Pick<LbSettings, 'stickyBuckets' | 'flowTimeoutS'> = { stickyBuckets: 0, flowTimeoutS: 0 }

  constructor (private readonly client: VppClient) {}

  async read (): Promise<Observed> {
    const [vips, settings] = await Promise.all([this.show('show lb vips verbose'), this.show('show lb')])
    const { source4, source6, flowTimeoutS } = parseSettings(settings)
    return { settings: { ...this.told, source4, source6, ...flowTimeoutS === null ? {} : { flowTimeoutS } }, vips: parseVips(vips) }
  }

  async perform (operation: Operation): Promise<void> {
    switch (operation.kind) {
      case 'settings': {
        const { source4, source6, stickyBuckets, flowTimeoutS } = operation.settings
        await this.run(`lb conf ip4-src-address ${source4} ip6-src-address ${source6} buckets ${stickyBuckets} timeout ${flowTimeoutS}`)
        this.told = { stickyBuckets, flowTimeoutS }
        return
      }
      case 'vip-add': {
        const { vip } = operation
        const nat = vip.encap.startsWith('nat') ? ` type clusterip target_port ${vip.targetPort}` : ''
        await this.run(`lb vip ${service(vip)} encap ${vip.encap}${nat} new_len ${vip.tableLength}${vip.sourceIpSticky ? ' src_ip_sticky' : ''}`)
        return
      }
      case 'vip-remove':
        await this.run(`lb vip ${service(operation.vip)} del`)
        return
      case 'real-add':
        await this.run(`lb as ${service(operation.vip)} ${operation.real}`)
        return
      case 'real-remove':
        await this.run(`lb as ${service(operation.vip)} ${operation.real} del${operation.flush ? ' flush' : ''}`)
        return
      case 'real-weight': // there is one weight: what is asked for is that its flows end
        await this.run(`lb as ${service(operation.vip)} ${operation.real} del flush`)
        await this.run(`lb as ${service(operation.vip)} ${operation.real}`)
    }
  }

  private async show (cmd: string): Promise<string> { return (await this.client.call('cli_inband_f8377302', { cmd })).reply }

  /** A command that did what it should says nothing. */
  private async run (cmd: string): Promise<void> {
    const reply = (await this.show(cmd)).trim()
    if (reply !== '') throw new LockstepError('invalid', 'LS_V_REFUSED', 'VPP refused a command', { object: cmd, found: reply.slice(0, 200) })
  }
}
