/** The memory cgroup that an agent started from here would live in has room for the table. */
import { error, from, ok, type HostCheck } from '../finding.js'
import { quote } from '../shell.js'
import { mebibytes, tableBytes } from '../table-size.js'

export const cgroup: HostCheck = {
  id: 'cgroup',
  look: (facts, { scope }) => {
    const capacity = scope.desired?.agent.table.capacity
    if (capacity === undefined || scope.running) return []
    return from([facts.cgroup], ([{ path, version, limitBytes, usedBytes }], source) => {
      const wanted = tableBytes(capacity)
      if (limitBytes === null) return [ok('the memory cgroup of this shell has no limit', source)]
      const text = `the memory cgroup ${path}, which an agent started from here shares, allows ${mebibytes(limitBytes)}, of which ${mebibytes(usedBytes)} are used; the table takes about ${mebibytes(wanted)}`
      if (wanted <= limitBytes - usedBytes) return [ok(text, source)]
      const unit = /([^/]+\.(?:service|scope|slice))$/.exec(path)?.[1]
      const file = version === 2 ? `/sys/fs/cgroup${path}/memory.max` : `/sys/fs/cgroup/memory${path}/memory.limit_in_bytes`
      const command = unit !== undefined ? `systemctl set-property --runtime ${quote(unit)} MemoryMax=infinity` : `echo ${version === 2 ? 'max' : '-1'} > ${quote(file)}`
      return [error({ finding: text, consequence: 'the agent is killed while it makes the table', command, source })]
    })
  }
}
