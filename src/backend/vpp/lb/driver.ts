/** How VIPs of a VPP are read and written. Releases before 26.10 have the same messages with handlers that are broken: they are spoken to by CLI. */
import type { VppClient } from '../client.js'
import { ApiDriver } from './api-driver.js'
import { CliDriver } from './cli-driver.js'
import type { Operation } from './plan.js'
import type { Observed } from './state.js'

export interface LbDriver {
  /** Reals are weighed one by one; without, a weight other than 0 is 100. */
  readonly weights: boolean
  readonly read: () => Promise<Observed>
  /** @throws VppRefusal and what a call throws */
  readonly perform: (operation: Operation) => Promise<void>
}

/** `null`: this VPP has no load balancer. */
export function lbDriver (client: VppClient): LbDriver | null {
  if (client.has('lb_conf_get_51077d14') && client.has('lb_as_set_weight_2d89bdbd')) return new ApiDriver(client)
  return client.has('lb_conf_56cd3261') && client.has('cli_inband_f8377302') ? new CliDriver(client) : null
}
