/** A build of this tree as it would be after a change of the table's layout and of the wire: the same sources, both versions one higher. */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { must } from './shell.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const left = /^(node_modules|build|build-[^/]+|dist|\.[^/]+|docs)$/
const versions = [['native/include/lockstep/table.h', 'LS_LAYOUT_VERSION'], ['native/include/lockstep/peer.h', 'LS_PEER_VERSION']] as const

/** Into `to`, which is new. Resolves to its command line. */
export async function buildNextVersion (to: string): Promise<string> {
  cpSync(root, to, { recursive: true, filter: (from) => !left.test(relative(root, from)) })
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'))
  for (const [header, name] of versions) {
    const path = join(to, header)
    const text = readFileSync(path, 'utf8')
    const next = text.replace(new RegExp(`(#define ${name} )(\\d+)`), (_, define: string, number: string) => `${define}${Number(number) + 1}`)
    if (next === text) throw new Error(`${header} defines no ${name}`)
    writeFileSync(path, next)
  }
  for (const script of ['generate.mjs', 'build.mjs']) await must({ netns: null, argv: [process.execPath, join(to, 'scripts', script)] }, 900_000)
  return join(to, 'dist/src/cli/main.js')
}
