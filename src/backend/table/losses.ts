/** What a change of the forwarder would lose. Pure. */
import { requiredCapabilities } from '../../config/index.js'
import type { BackendName, Capability } from '../../contract/dataplane.js'
import type { Desired } from '../../contract/desired.js'
import { LockstepError } from '../../contract/errors.js'
import type { SwitchLoss } from '../../contract/services.js'
import type { Forwarder } from './forwarder.js'

export class SwitchLoses extends LockstepError {
  constructor (from: BackendName, to: BackendName, readonly lost: readonly SwitchLoss[], forced: boolean) {
    const paths = ofConfiguration(lost).flatMap(l => l.needed).join(', ')
    super('unsupported', 'LS_B_SWITCH_LOSES', 'what runs needs what the other backend cannot do', {
      object: `switch from ${from} to ${to}`, found: lost.map(l => `${l.capability} (${l.needed.join(', ')}): ${l.reason}`).join('; '),
      next: forced ? `VIPs cannot be given up, and ports only for a backend with interfaces of its own: take ${paths} out of the configuration`
        : `${paths === '' ? 'move the traffic elsewhere first' : `take ${paths} out of the configuration, apply that, and switch again`}; or accept the losses: lockstep backend switch ${to} --force`
    })
  }
}

/** Capabilities that the configuration or live sessions need, `from` has and `to` has not, with what needs them. `sessions`: live ones. */
export function switchLosses (from: Pick<Forwarder, 'capabilities'>, to: Pick<Forwarder, 'capabilities'>, desired: Desired | null, sessions: number): SwitchLoss[] {
  const lacks = (of: Pick<Forwarder, 'capabilities'>, name: string): Capability | undefined => of.capabilities.find(c => c.name === name && !c.supported)
  const needs = desired === null ? [] : requiredCapabilities(desired)
  const lost = needs.flatMap(({ capability, paths }): SwitchLoss[] => {
    const denied = lacks(to, capability)
    return denied === undefined || lacks(from, capability) !== undefined ? [] : [{ capability, reason: denied.reason, needed: paths }]
  })
  const apart = lacks(to, 'shared_table') ?? lacks(from, 'shared_table') // sessions of one mean nothing to the other, whichever way
  return apart === undefined || sessions === 0 ? lost : [...lost, { capability: 'shared_table', reason: apart.reason, needed: [`${sessions} live sessions`] }]
}

/** Those that the configuration asks for: by a JSON pointer, which live sessions have not. */
export const ofConfiguration = (lost: readonly SwitchLoss[]): SwitchLoss[] => lost.filter(({ needed }) => needed.some(what => what.startsWith('/')))

/** What runs without what the configuration needs, for as long as it needs it. */
export function givenUpText (backend: BackendName, without: readonly string[], desired: Desired | null): string | null {
  const needed = desired === null || without.length === 0 ? [] : requiredCapabilities(desired).filter(({ capability }) => without.includes(capability))
  return needed.length === 0 ? null : `${backend} forwards without ${needed.map(({ capability, paths }) => `${capability} (${paths.join(', ')})`).join(', ')}: backend switch --force gave it up`
}

/** A VIP would have nobody, and a port too, but for a dataplane that has interfaces of its own. */
export const cannotForce = (to: Pick<Forwarder, 'program'>, lost: readonly SwitchLoss[]): boolean =>
  lost.some(({ capability }) => capability.startsWith('vip_') || (to.program === null && capability.startsWith('ports_')))
