/** Memory for the packet buffers of DPDK: huge pages, or ordinary memory. */
import { dpdkBytes } from '../../../lib/dpdk-memory.js'
import { error, from, note, ok, type HostCheck } from '../finding.js'
import { mebibytes } from '../table-size.js'

export const dpdkMemory: HostCheck = {
  id: 'dpdk-memory',
  look: (facts, { scope }) => {
    const dpdk = scope.desired?.agent.dpdk
    if (dpdk === undefined || scope.running || scope.backend !== 'dpdk') return []
    const wanted = dpdkBytes(dpdk)
    if (dpdk.hugepages === 'off') {
      return from([facts.memory], ([{ availableBytes }], source) => [availableBytes >= wanted
        ? ok(`${mebibytes(availableBytes)} are free; packet buffers take ${mebibytes(wanted)}`, source)
        : error({ finding: `${mebibytes(availableBytes)} are free; packet buffers take ${mebibytes(wanted)}`, consequence: 'DPDK does not start, and nothing is forwarded: fewer agent.dpdk.buffers take less', source })])
    }
    return from([facts.hugepages], ([{ total, free }], source) => {
      const pages = Math.ceil(wanted / 2 ** 21)
      if (free >= pages) return [ok(`${free} huge pages are free; packet buffers take ${pages}`, source)]
      const text = { finding: `${free} huge pages of 2 MiB are free; packet buffers take ${pages}`, command: `sysctl -w vm.nr_hugepages=${total - free + pages}`, source }
      return [dpdk.hugepages === 'on'
        ? error({ ...text, consequence: 'agent.dpdk.hugepages is on: DPDK does not start, and nothing is forwarded' })
        : note({ ...text, consequence: 'packet buffers take ordinary memory, with which most physical ports do not work' })]
    })
  }
}
