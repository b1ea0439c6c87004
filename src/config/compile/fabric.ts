/** The interface that leads to the other node of a pair: the bank names it, so a flip changes it with everything else. */
import { limits } from '../../generated/layout.js'
import { config, type Bank } from './bank.js'
import { mtuOf, type BoundInterface } from './interfaces.js'

export function writeFabric (bank: Bank, bound: readonly BoundInterface[], warnings: string[]): void {
  const fabric = bound.find(b => b.wanted.role === 'fabric')
  if (fabric === undefined) return
  bank.u32(config.fabric.offset, fabric.id)
  const most = mtuOf(fabric) - limits.LS_FABRIC_BYTES
  const larger = bound.filter(b => b.wanted.role === 'data' && mtuOf(b) > most)
  if (larger.length > 0) warnings.push(`interface ${fabric.wanted.name}: MTU ${mtuOf(fabric)} takes packets of ${most} bytes to the other node; ${larger.map(b => `${b.wanted.name} has ${mtuOf(b)}`).join(', ')}: larger ones are dropped as fabric_mtu; give it ${Math.max(...larger.map(mtuOf)) + limits.LS_FABRIC_BYTES}`)
}
