/** The wall clock; sessions and leases use CLOCK_MONOTONIC, which runs whatever this says. */
import { from, ok, warning, type HostCheck } from '../finding.js'

export const ntp: HostCheck = {
  id: 'ntp',
  look: (facts) => from([facts.ntp], ([synchronised], source) => synchronised
    ? [ok('the wall clock follows a time source', source)]
    : [warning({ finding: 'the wall clock follows no time source', consequence: 'schedules of policies, logs and the times of generations drift; sessions do not (they use CLOCK_MONOTONIC)', command: 'timedatectl set-ntp true', source })])
}
