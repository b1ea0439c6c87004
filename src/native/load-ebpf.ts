/** Loads the ebpf addon, which a host without libbpf does not have. */
import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { NativeEbpfAddon } from './binding-ebpf.js'
import { loadCore, packageRoot } from './load.js'

export interface EbpfAbsent { readonly addon: null, readonly reason: string }
export interface EbpfPresent { readonly addon: NativeEbpfAddon, readonly reason: '' }

let loaded: EbpfAbsent | EbpfPresent | null = null

/** The addon, or why there is none. Never throws. */
export function loadEbpf (): EbpfAbsent | EbpfPresent {
  return loaded ??= find()
}

function find (): EbpfAbsent | EbpfPresent {
  const folder = join(packageRoot(), 'native/backend/ebpf')
  if (!existsSync(join(folder, 'build/Release/ebpf.node')) && !existsSync(join(folder, 'prebuilds'))) {
    return { addon: null, reason: 'the ebpf addon was not built: it needs clang, libbpf-dev and pkg-config (apt install clang libbpf-dev pkg-config), then npm run build' }
  }
  try {
    const nodeGypBuild = createRequire(import.meta.url)('node-gyp-build') as (dir: string) => NativeEbpfAddon
    const addon = nodeGypBuild(folder)
    const core = loadCore()
    return addon.layoutVersion === core.layoutVersion ? { addon, reason: '' } : { addon: null, reason: `the ebpf addon was built for layout ${addon.layoutVersion}, the core for ${core.layoutVersion}: npm run build` }
  } catch (error) {
    return { addon: null, reason: `the ebpf addon cannot be loaded: ${(error as Error).message}` }
  }
}

/** The native process that stands in for the agent, if it was built. */
export function keeperProgram (): string | null {
  const places = ['build/Release', `prebuilds/${process.platform}-${process.arch}`]
  return places.map(place => join(packageRoot(), place, 'lockstep-keeper')).find(path => existsSync(path)) ?? null
}
