/** The table fits into what the host has free. */
import { error, from, ok, warning, type HostCheck } from '../finding.js'
import { mebibytes, tableBytes } from '../table-size.js'

export const memory: HostCheck = {
  id: 'memory',
  look: (facts, { scope }) => {
    const capacity = scope.desired?.agent.table.capacity
    if (capacity === undefined || scope.running) return []
    return from([facts.memory], ([{ totalBytes, availableBytes }], source) => {
      const wanted = tableBytes(capacity)
      const text = `a table of ${capacity} sessions takes about ${mebibytes(wanted)}; ${mebibytes(availableBytes)} of ${mebibytes(totalBytes)} are available`
      if (wanted > availableBytes) return [error({ finding: text, consequence: 'the table cannot be made, or the kernel kills a process to make room for it; lower agent.table.capacity', source })]
      if (wanted > availableBytes * 0.8) return [warning({ finding: text, consequence: 'little is left for the agent, the page cache and everything else here; lower agent.table.capacity', source })]
      return [ok(text, source)]
    })
  }
}
