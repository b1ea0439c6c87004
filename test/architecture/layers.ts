/** Which file may import which: the ranks of docs/architecture.md as data and one function, so that the rule itself is tested. */
import { importsOf, read } from './repo.js'

/** A folder imports lower ranks only; folders of one rank do not import each other. */
export const ranks: Record<string, number> = {
  contract: 0, lib: 0, generated: 0,
  native: 1, config: 1,
  backend: 2, reconcile: 2, health: 2, ha: 2, bgp: 2, telemetry: 2, client: 2, operator: 2, export: 2,
  rpc: 3, web: 3, gateway: 3,
  workers: 4,
  agent: 5,
  'agent.ts': 6, 'main.ts': 7, 'quickstart.ts': 8,
}

/** The command line is a separate program that talks to the agent through the client library. */
export const cliMayImport = ['cli', 'contract', 'lib', 'generated', 'client']
/** Its offline verbs load their parts through one file, by a path kept as a value; those paths are checked as imports. */
export const cliLoader = 'src/cli/modules.ts'
export const cliLoaderMayImport = [...cliMayImport, 'main.ts', 'quickstart.ts', 'gateway', 'config', 'native', 'operator', 'bench', 'test']

/** `src/ha/sync/link.ts` is of `ha`, `src/agent.ts` of `agent.ts`, `bench/table/x.ts` of `bench`; null: none of ours. */
export function folderOf(file: string): string | null {
  const [top, second] = file.split('/')
  if (top === 'bench' || top === 'test') return top
  return top === 'src' ? (second ?? null) : null
}

/** Why `from` must not import `to` (both folders as folderOf names them; `file` is the importer), or null. */
function refusal(file: string, from: string, to: string): string | null {
  if (from === to) return null
  if (from === 'cli') {
    const allowed = file === cliLoader ? cliLoaderMayImport : cliMayImport
    return allowed.includes(to) ? null : `${file === cliLoader ? cliLoader : 'cli'} may import only ${allowed.join(', ')}`
  }
  const own = ranks[from]
  const other = ranks[to]
  if (own === undefined) return `${from} has no rank: name it in test/architecture/layers.ts`
  if (other === undefined) return to === 'cli' || to === 'bench' || to === 'test' ? `nothing in src imports ${to}` : `${to} has no rank: name it in test/architecture/layers.ts`
  if (other > own) return `${to} (rank ${other}) is above ${from} (rank ${own})`
  if (other === own) return `${to} and ${from} are both of rank ${own}`
  return null
}

/** Backends are siblings: only backend/registry.ts and the composition root name one. What they share stands in backend/table. */
function backendRefusal(file: string, target: string): string | null {
  const backend = /^src\/backend\/([^/]+)\//.exec(target)?.[1]
  if (backend === undefined || file.startsWith(`src/backend/${backend}/`) || (backend === 'table' && file.startsWith('src/backend/'))) return null
  if (file === 'src/backend/registry.ts' || folderOf(file) === 'agent.ts' || target.startsWith('src/backend/table/') && folderOf(file) === 'agent') return null
  return `only backend/registry.ts and the composition root name the ${backend} backend`
}

/** Every import of `file` that breaks a rule, as `file:line imports target: reason`. */
export function offences(file: string, text: string = read(file)): string[] {
  const from = folderOf(file)
  if (from === null) return []
  const imports = importsOf(file, text)
  if (file === cliLoader) imports.push(...[...text.matchAll(/: '(\.\.?\/[^']+\.js)'/g)].flatMap((match) => importsOf(file, `import '${match[1]}'`)))
  return imports.flatMap(({ specifier, file: target, line }) => {
    if (target === null) return from === 'contract' ? [`${file}:${line} imports ${specifier}: the contract imports nothing`] : []
    const to = folderOf(target)
    if (to === null) return target === 'package.json' ? [] : [`${file}:${line} imports ${specifier}: it is outside src`]
    const reason = (from === 'bench' ? null : refusal(file, from, to)) ?? backendRefusal(file, target)
    return reason === null ? [] : [`${file}:${line} imports ${specifier}: ${reason}`]
  })
}
