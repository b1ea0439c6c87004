/** CO-RE needs the kernel's types. */
import { error, from, ok, type HostCheck } from '../finding.js'

export const btf: HostCheck = {
  id: 'btf',
  look: (facts, { scope }) => scope.backend !== 'ebpf'
    ? []
    : from([facts.btf], ([there], source) => there
      ? [ok('the kernel describes its types (BTF)', source)]
      : [error({ finding: 'the kernel does not describe its types (CONFIG_DEBUG_INFO_BTF)', consequence: 'programs that read kernel structures cannot be loaded', source })])
}
