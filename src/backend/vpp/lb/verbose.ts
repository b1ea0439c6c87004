/**
 * What `show lb` and `show lb vips verbose` say: of all releases the only place where the pool index and source-ip-sticky of a VIP stand, and before 26.10 the
 * only one that tells the truth. Pure.
 */
import { ANY_PROTOCOL, encaps, type Encap, type LbSettings, type ObservedReal, type ObservedVip } from './state.js'

const HEAD = /^ ip[46]-(\w+) \[(\d+)\] (\S+)(.*)$/
/** `A weight:W buckets:B flows:F dpo:D used`; before 26.10 `A B buckets F flows dpo:D used`. */
const REAL = /^ {4}(\S+)(?: weight:(\d+) buckets:(\d+)| (\d+) buckets) .*(used|removed)\s*$/

function vipOf (block: readonly string[]): ObservedVip | null {
  const [, encap = '', index = '', prefix = '', marks = ''] = HEAD.exec(block[0] ?? '') ?? []
  if (!encaps.includes(encap as Encap) || / removed/.test(marks)) return null
  const text = block.join('\n')
  const number = (pattern: RegExp): number | undefined => { const found = pattern.exec(text)?.[1]; return found === undefined ? undefined : Number(found) }
  const reals = new Map<string, ObservedReal>()
  for (const line of block) {
    const [, address = '', weight = '100', weighed, counted, state] = REAL.exec(line) ?? []
    if (state === 'used') reals.set(address, { weight: Number(weight), buckets: Number(weighed ?? counted) })
  }
  const port = number(/^ {2}protocol:\d+ port:(\d+)/m) ?? 0
  return {
    prefix, protocol: port === 0 ? ANY_PROTOCOL : number(/^ {2}protocol:(\d+)/m) ?? ANY_PROTOCOL, port, encap: encap as Encap, targetPort: number(/target_port:(\d+)/) ?? 0,
    tableLength: number(/new_size:(\d+)/) ?? 0, sourceIpSticky: /src_ip_sticky/.test(marks), index: Number(index), reals
  }
}

/** VIPs that are in use, with their reals in use. */
export function parseVips (text: string): ObservedVip[] {
  const blocks: string[][] = []
  for (const line of text.split('\n')) {
    if (HEAD.test(line)) blocks.push([line])
    else blocks.at(-1)?.push(line)
  }
  return blocks.flatMap(block => vipOf(block) ?? [])
}

/** Outer addresses, and the timeout of flows where a thread has had one; the number of buckets is not told. */
export function parseSettings (text: string): Pick<LbSettings, 'source4' | 'source6'> & { readonly flowTimeoutS: number | null } {
  const timeout = /timeout: (\d+)s/.exec(text)?.[1]
  return { source4: /ip4-src-address: (\S+)/.exec(text)?.[1] ?? '', source6: /ip6-src-address: (\S+)/.exec(text)?.[1] ?? '', flowTimeoutS: timeout === undefined ? null : Number(timeout) }
}
