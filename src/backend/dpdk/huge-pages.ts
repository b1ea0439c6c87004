/** Huge pages of this host, as EAL needs them: free ones, and a hugetlbfs to take them from. */
import { readFileSync } from 'node:fs'

/** Text of /proc/mounts. Without a size of its own a mount has the default, 2 MiB here. */
export const hugeMountOf = (mounts: string): boolean => mounts.split('\n').some(line => {
  const [, , type, options = ''] = line.split(' ')
  return type === 'hugetlbfs' && /(^|,)pagesize=2(M|048k)(,|$)/i.test(options.includes('pagesize=') ? options : `${options},pagesize=2M`)
})

export function hugePagesMounted (): boolean {
  try {
    return hugeMountOf(readFileSync('/proc/mounts', 'utf8'))
  } catch {
    return false
  }
}

/** Of 2 MiB; none where nobody can take them. */
export function freeHugePages (): number {
  if (!hugePagesMounted()) return 0
  try {
    return Number(readFileSync('/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages', 'utf8'))
  } catch {
    return 0
  }
}
