/**
 * nftables as far as it can be judged from outside: which rules concern packets that come in through given interfaces. Whatever a rule matches
 * besides the interface is taken as "some packets"; a verdict is certain only for a rule that matches nothing else.
 */
export interface Ruleset { readonly chains: readonly Chain[] }

export interface Chain {
  readonly family: string
  readonly table: string
  readonly name: string
  /** `null`: not a base chain. */
  readonly base: { readonly type: string, readonly hook: string, readonly policy: string, /** Empty: nft does not say. */ readonly devices: readonly string[] } | null
  /** In order of evaluation. */
  readonly rules: readonly Rule[]
}

export interface Rule {
  readonly handle: number
  /** Interfaces it is limited to, as nft writes them (`eth*`); `null`: any. A negated match counts as any. */
  readonly input: readonly string[] | null
  /** It matches something else, too, or something that is not understood. */
  readonly other: boolean
  /** Its only match besides the interface is that the packet is for another host. */
  readonly forwardedOnly: boolean
  readonly conntrack: boolean
  /** `accept`, `drop`, `jump`, `masquerade`, `notrack` ... */
  readonly actions: readonly string[]
}

export const chainName = (c: Chain): string => `${c.family} ${c.table} ${c.name}`
const covers = (pattern: string, device: string): boolean => pattern.endsWith('*') ? device.startsWith(pattern.slice(0, -1)) : pattern === device
export const concerns = (r: Rule, device: string): boolean => r.input === null || r.input.some((p) => covers(p, device))

const FILTERS = ['drop', 'reject', 'queue', 'jump', 'goto', 'return', 'xt']

export interface ChainEffect {
  /** Devices whose packets may be dropped, by a rule or the chain's policy. */
  readonly filtered: readonly string[]
  /** Of these, those that reach the end of the chain, where the policy drops. */
  readonly policyDrops: readonly string[]
}

/** What a base chain does to packets that come in through `devices`. */
export function effectOf (chain: Chain, devices: readonly string[]): ChainEffect {
  let rest = [...devices]
  const filtered = new Set<string>()
  for (const rule of chain.rules) {
    const met = rest.filter((d) => concerns(rule, d))
    if (rule.actions.some((a) => FILTERS.includes(a))) for (const d of met) filtered.add(d)
    const final = !rule.other && rule.actions.some((a) => a === 'accept' || a === 'drop' || a === 'reject')
    if (final) rest = rest.filter((d) => !met.includes(d))
  }
  const policyDrops = chain.base?.policy === 'drop' ? rest : []
  for (const d of policyDrops) filtered.add(d)
  return { filtered: [...filtered], policyDrops }
}

/** Devices whose forwarded packets are kept from connection tracking. */
export function untracked (ruleset: Ruleset, devices: readonly string[]): string[] {
  const rules = ruleset.chains.filter((c) => c.base?.hook === 'prerouting').flatMap((c) => c.rules)
    .filter((r) => r.actions.includes('notrack') && (!r.other || r.forwardedOnly))
  return devices.filter((d) => rules.some((r) => concerns(r, d)))
}

/** Rules that make the kernel track connections in this namespace. */
export const tracks = (ruleset: Ruleset): boolean => ruleset.chains.some((c) => c.base?.type === 'nat' || c.rules.some((r) => r.conntrack))
