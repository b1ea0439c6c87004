// Makes prebuilds/<platform>-<arch>/core.node, with which an installed package runs where there is no compiler; beside it, where they can be built here, the
// keeper, lockstep-dpdk and the ebpf addon, which lie in the folders that each is loaded from.
// prebuildify takes the addon out of build/Release; we put it back, so that this tree goes on working.
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { main, root, say, step } from './lib/common.mjs'

await main(async () => {
  const bin = join(root, 'node_modules/.bin')
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, npm_config_nodedir: join(root, 'native/nodedir') }
  await step('building prebuilds', process.execPath, [join(root, 'node_modules/prebuildify/bin.js'), '--napi', '--strip', '--name', 'core'], { env })
  const linked = join(root, 'build/Release/obj.target/core.node')
  if (existsSync(linked)) copyFileSync(linked, join(root, 'build/Release/core.node'))
  const triple = `${process.platform}-${process.arch}`
  const made = [`prebuilds/${triple}/core.node`]
  for (const [from, folder] of [['build/Release/lockstep-keeper', 'prebuilds'], ['build/Release/lockstep-dpdk', 'prebuilds'], ['native/backend/ebpf/build/Release/ebpf.node', 'native/backend/ebpf/prebuilds']]) {
    if (!existsSync(join(root, from))) continue
    const to = `${folder}/${triple}/${basename(from)}`
    mkdirSync(join(root, dirname(to)), { recursive: true })
    copyFileSync(join(root, from), join(root, to))
    await step(`stripping ${to}`, 'strip', ['--strip-unneeded', join(root, to)])
    made.push(to)
  }
  say(`${made.join(', ')}: ready; npm pack includes them`)
})
