/** Commands for a person's shell. */
export const quote = (word: string): string => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** The same commands in a network namespace, one after the other. */
export function fix (netns: string | null, ...commands: readonly string[]): string {
  return commands.map((c) => netns === null ? c : `nsenter --net=${quote(netns)} ${c}`).join(' && ')
}

/** `net.ipv4.conf.eth0.rp_filter`; with slashes where a name has a dot of its own. */
export const sysctlKey = (...parts: readonly string[]): string => quote(parts.join(parts.some((p) => p.includes('.')) ? '/' : '.'))

export const nftNames = (devices: readonly string[]): string => `{ ${devices.map((d) => `"${d}"`).join(', ')} }`
