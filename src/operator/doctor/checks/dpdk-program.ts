/** The process that runs DPDK is there, and the libraries that it needs. */
import { error, from, ok, type HostCheck } from '../finding.js'

export const dpdkProgram: HostCheck = {
  id: 'dpdk-program',
  look: (facts, { scope }) => scope.backend !== 'dpdk'
    ? []
    : from([facts.dpdk], ([reason], source) => [reason === '' ? ok('lockstep-dpdk runs', source) : error({ finding: reason, consequence: 'the agent does not start with the dpdk backend', source })])
}
