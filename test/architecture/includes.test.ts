/** The C side is layered too: the contract is neutral, backends are siblings, only the addon knows Node, the pipeline knows no libc. */
import t from 'tap'
import { posix } from 'node:path'
import { filesBelow, read } from './repo.js'

interface Include {
  file: string
  line: number
  name: string
  quoted: boolean
}

function includesOf(file: string, text: string = read(file)): Include[] {
  return [...text.matchAll(/^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)")/gm)].map((match) => ({
    file, line: text.slice(0, match.index).split('\n').length, name: match[1] ?? match[2] ?? '', quoted: match[2] !== undefined,
  }))
}

/** The path from native/ (or include/) that an include means: "x.h" beside the file, <lockstep/x.h>, "pipeline/x.h". */
function target({ file, name, quoted }: Include, known: ReadonlySet<string>): string {
  const beside = posix.join(posix.dirname(file), name)
  if (quoted && known.has(beside)) return beside
  if (known.has(`native/include/${name}`)) return `native/include/${name}`
  return known.has(`native/${name}`) ? `native/${name}` : name
}

const contract = 'native/include/lockstep/'
const freestanding = ['stdint.h', 'stddef.h', 'stdbool.h']

/** Why this include is refused, or null. `to` is what target() says. */
function refusal(file: string, to: string): string | null {
  if (file.startsWith(contract) && !to.startsWith(contract) && !freestanding.includes(to)) return 'the contract includes only stdint.h, stddef.h, stdbool.h and itself'
  if (file.startsWith('native/pipeline/') && !to.startsWith('native/pipeline/') && !to.startsWith(contract) && !freestanding.includes(to))
    return 'the pipeline includes only the contract and itself: it must compile for BPF'
  if (/(^|\/)(node_api|napi|napi-inl|js_native_api|uv)\.h$/.test(to) && !file.startsWith('native/addon/')) return 'only native/addon knows Node.js'
  if (to.startsWith('native/addon/') && !file.startsWith('native/addon/')) return 'nothing below includes the addon'
  const own = /^native\/backend\/([^/]+)\//.exec(file)?.[1]
  const other = /^native\/backend\/([^/]+)\//.exec(to)?.[1]
  if (own !== undefined && other !== undefined && own !== other) return `backends are siblings: ${own} does not include ${other}`
  if (/^native\/(table|sketch)\//.test(file) && /^native\/(backend|keeper|mirror)\//.test(to)) return 'the table does not know who uses it'
  if (to.startsWith('native/dpdk/') && !file.startsWith('native/dpdk/')) return 'nothing but its own process knows DPDK'
  if (file.startsWith('native/mirror/') && /^native\/(backend|keeper)\//.test(to)) return 'the mirror does not know who uses it'
  return null
}

t.test('the rule refuses what it should and allows what it should', async (t) => {
  const table: [string, string, boolean][] = [
    [`${contract}table.h`, 'stdint.h', true],
    [`${contract}table.h`, 'string.h', false],
    [`${contract}table.h`, 'native/table/region.h', false],
    ['native/pipeline/parse.h', `${contract}session.h`, true],
    ['native/pipeline/parse.h', 'string.h', false],
    ['native/pipeline/parse.h', 'native/table/region.h', false],
    ['native/backend/dpdk/ops.c', 'native/backend/ebpf/ops.h', false],
    ['native/backend/dpdk/ops.c', 'native/pipeline/pipeline.h', true],
    ['native/table/region.c', 'node_api.h', false],
    ['native/addon/addon.cc', 'napi.h', true],
    ['native/table/scan.c', 'native/backend/userspace/worker.h', false],
    ['native/mirror/routes.c', 'native/backend/userspace/api.h', false],
    ['native/mirror/routes.c', 'native/table/table.h', true],
  ]
  for (const [file, to, allowed] of table) t.equal(refusal(file, to) === null, allowed, `${file} -> ${to}: ${allowed ? 'allowed' : 'refused'}`)
})

t.test('no C or C++ file breaks it', async (t) => {
  const files = filesBelow('native', ['.h', '.c', '.cc', '.def'])
  const known = new Set(files)
  const offences = files.flatMap((file) => includesOf(file).flatMap((include) => {
    const reason = refusal(file, target(include, known))
    return reason === null ? [] : [`${file}:${include.line} includes ${include.name}: ${reason}`]
  }))
  t.same(offences, [])
})
