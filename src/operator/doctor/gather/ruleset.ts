/** `nft -j list ruleset` -> Ruleset. Without the chains that an agent of ours holds: those are meant to be there. */
import type { Chain, Rule, Ruleset } from '../ruleset.js'
import { readSeen, type Seen } from '../seen.js'
import { array, list, number, object, text, type Json } from './json.js'
import { runTool } from './tool.js'

export async function gatherRuleset (netns: string | null, signal?: AbortSignal): Promise<Seen<Ruleset>> {
  return readSeen(await runTool('nft', ['-j', 'list', 'ruleset'], { netns, signal }), parseRuleset)
}

export function parseRuleset (output: string): Ruleset {
  const entries = array(object(JSON.parse(output))['nftables']).map(object)
  const of = (kind: string): Json[] => entries.flatMap((e) => e[kind] === undefined ? [] : [object(e[kind])])
  const key = (o: Json, name: string): string => `${text(o['family'])}\n${text(o['table'])}\n${text(o[name])}`
  const sets = new Map([...of('set'), ...of('map')].map((s) => [key(s, 'name'), s] as const))
  const rules = new Map<string, Rule[]>()
  for (const rule of of('rule')) {
    const chain = key(rule, 'chain')
    const setNames = (name: string): unknown[] => list(sets.get(`${text(rule['family'])}\n${text(rule['table'])}\n${name}`)?.['elem'])
    rules.set(chain, [...rules.get(chain) ?? [], ruleOf(rule, setNames)])
  }
  const chains = of('chain').filter((c) => !(text(c['family']) === 'netdev' && text(c['table']).startsWith('lockstep_')))
  return { chains: chains.map((c) => ({ ...headOf(c), rules: rules.get(key(c, 'name')) ?? [] })) }
}

function headOf (c: Json): Omit<Chain, 'rules'> {
  const dev = c['dev']
  const devices = typeof dev === 'string' ? [dev] : list(dev).map(text)
  const base = c['hook'] === undefined ? null : { type: text(c['type']), hook: text(c['hook']), policy: text(c['policy']) || 'accept', devices }
  return { family: text(c['family']), table: text(c['table']), name: text(c['name']), base }
}

const ACTIONS = ['accept', 'drop', 'reject', 'queue', 'jump', 'goto', 'return', 'masquerade', 'snat', 'dnat', 'redirect', 'notrack', 'tproxy', 'fwd', 'dup']
const VERDICTS = ['accept', 'drop', 'reject', 'queue', 'jump', 'goto', 'return']

function ruleOf (rule: Json, setNames: (name: string) => unknown[]): Rule {
  let input: readonly string[] | null = null
  let others = 0
  let forMe = 0
  let conntrack = false
  const actions: string[] = []
  let opaque = false
  for (const expression of list(rule['expr']).map(object)) {
    const [kind = '', value] = Object.entries(expression)[0] ?? []
    if (JSON.stringify(expression).includes('"ct"')) conntrack = true
    if (kind === 'match') {
      const match = object(value)
      const names = inputNames(match, setNames)
      if (names !== null && input === null) input = names
      else if (names === null) {
        others++
        if (forOthers(match)) forMe++
      }
    } else if (ACTIONS.includes(kind)) actions.push(kind)
    else if (kind === 'vmap') { others++; actions.push('jump') }
    else if (kind === 'xt') { others++; opaque = true }
  }
  if (opaque && !actions.some((a) => VERDICTS.includes(a))) actions.push('xt')
  return { handle: number(rule['handle']), input, other: others > 0, forwardedOnly: others > 0 && others === forMe, conntrack, actions }
}

/** Interface names of `iifname NAMES`; `null`: it is another match, or one that names cannot be told from. */
function inputNames (match: Json, setNames: (name: string) => unknown[]): readonly string[] | null {
  const left = object(match['left'])
  const key = left['meta'] === undefined ? '' : text(object(left['meta'])['key'])
  if ((key !== 'iifname' && key !== 'iif') || text(match['op']) !== '==') return null
  const right = match['right']
  const names = typeof right === 'string'
    ? right.startsWith('@') ? setNames(right.slice(1)) : [right]
    : typeof right === 'object' && right !== null && 'set' in right ? typeof right.set === 'string' ? setNames(right.set.replace(/^@/, '')) : list(right.set) : null
  return names === null || !names.every((n) => typeof n === 'string') ? null : names
}

/** `fib daddr type != local`. */
function forOthers (match: Json): boolean {
  const fib = object(match['left'])['fib']
  if (fib === undefined || text(match['op']) !== '!=' || match['right'] !== 'local') return false
  const flags = object(fib)['flags']
  return text(object(fib)['result']) === 'type' && (flags === 'daddr' || (Array.isArray(flags) && flags.length === 1 && flags[0] === 'daddr'))
}
