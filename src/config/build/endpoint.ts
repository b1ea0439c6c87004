/** Addresses that the agent posts to: what `fetch` would refuse at run time, or tell of with what is secret in it, is told here. */
import { Harmless } from '../issues.js'
import type { Build } from './context.js'

/** Fetch Standard, section 2.9 (bad ports): browsers and Node.js connect to none of them. */
const forbiddenPorts: ReadonlySet<number> = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526,
  530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
])

/** Issues for an address that cannot be used. They name its host at most: paths and queries may be secret, too. */
export function checkEndpoint (b: Build, path: string, text: string): void {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null) b.issue(path, 'LS_C_VALUE', 'not a URL', new Harmless(`${text.length} characters`), 'a URL like https://hooks.example.net/bgp')
  else if (url.username !== '' || url.password !== '') b.issue(path, 'LS_C_VALUE', 'a URL here must not have a user or password', new Harmless(url.host), 'none; put a token in its path or query, or a proxy that adds them before it')
  else if (url.port !== '' && forbiddenPorts.has(Number(url.port))) b.issue(path, 'LS_C_VALUE', 'HTTP clients do not connect to this port, which is of another protocol', new Harmless(url.host), 'another port')
}
