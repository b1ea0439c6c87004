/** The kernel is new enough for the backend. */
import { error, ok, type HostCheck } from '../finding.js'

/** userspace: nft tables that go with their owner · ebpf: what Debian 12 has, and what the programs are tested on. */
const needs = { userspace: [5, 12], ebpf: [6, 1] } as const

export const kernel: HostCheck = {
  id: 'kernel',
  look: ({ kernel: { release } }, { scope: { backend } }) => {
    if (backend !== 'userspace' && backend !== 'ebpf') return []
    const [major, minor] = needs[backend]
    const [a = 0, b = 0] = release.split('.').map((part) => parseInt(part, 10))
    const source = 'uname -r'
    if (a > major || (a === major && b >= minor)) return [ok(`Linux ${release}`, source)]
    return [error({ finding: `Linux ${release} is older than ${major}.${minor}`, consequence: `the ${backend} backend does not start`, source })]
  }
}
