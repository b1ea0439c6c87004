/** Who is probed for which reals: each address and port once for each check. Pure. */
import type { Desired, Real, Vip } from '../../contract/desired.js'
import type { CheckTarget } from '../../contract/health.js'
import { formatEndpoint } from '../../lib/address.js'

/** Port that a check probes of a real; 0: none. */
function portOf (check: CheckTarget['check'], vip: Vip, real: Real): number {
  if (check.type === 'icmp') return 0
  return check.port !== 0 ? check.port : real.port !== 0 ? real.port : vip.port
}

export function targetOf (d: Pick<Desired, 'healthChecks'>, vip: Vip, real: Real): CheckTarget | null {
  const check = real.check === null ? undefined : d.healthChecks.find(c => c.name === real.check)
  if (check === undefined) return null
  const { address } = real
  const port = portOf(check, vip, real)
  return { id: `${check.name}/${port === 0 ? address : formatEndpoint(address, port)}`, check, address, port }
}
