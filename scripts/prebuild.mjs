// Makes prebuilds/<platform>-<arch>/core.node, with which an installed package runs where there is no compiler.
// prebuildify takes the addon out of build/Release; we put it back, so that this tree goes on working.
import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { main, root, say, step } from './lib/common.mjs'

await main(async () => {
  const bin = join(root, 'node_modules/.bin')
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}`, npm_config_nodedir: join(root, 'native/nodedir') }
  await step('building prebuilds', process.execPath, [join(root, 'node_modules/prebuildify/bin.js'), '--napi', '--strip', '--name', 'core'], { env })
  const linked = join(root, 'build/Release/obj.target/core.node')
  if (existsSync(linked)) copyFileSync(linked, join(root, 'build/Release/core.node'))
  say(`prebuilds/${process.platform}-${process.arch}/core.node is ready; npm pack includes it`)
})
