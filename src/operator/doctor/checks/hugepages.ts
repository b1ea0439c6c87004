/** Huge pages for the table of the userspace backend; BPF maps do not use them. */
import { error, from, note, ok, type HostCheck } from '../finding.js'
import { tableBytes } from '../table-size.js'

export const hugepages: HostCheck = {
  id: 'hugepages',
  look: (facts, { scope }) => {
    const table = scope.desired?.agent.table
    if (table === undefined || scope.running || scope.backend !== 'userspace' || table.hugepages === 'off') return []
    return from([facts.hugepages], ([{ total, free }], source) => {
      const wanted = Math.ceil(tableBytes(table.capacity) / 2 ** 21)
      if (free >= wanted) return [ok(`${free} huge pages are free; the table takes about ${wanted}`, source)]
      const text = { finding: `${free} huge pages of 2 MiB are free; the table takes about ${wanted}`, command: `sysctl -w vm.nr_hugepages=${total - free + wanted}`, source }
      return [table.hugepages === 'on'
        ? error({ ...text, consequence: 'agent.table.hugepages is on: the agent refuses to start' })
        : note({ ...text, consequence: 'the table takes ordinary memory; large tables then cost more page-table walks' })]
    })
  }
}
