/** The process that runs DPDK, which a host without libdpdk cannot build, or not load. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from './load.js'

export interface DpdkProgram {
  /** `null`: there is none. */
  readonly path: string | null
  /** Of DPDK; '' without a program. */
  readonly version: string
  /** Why there is none; '' = there is. */
  readonly reason: string
}

let found: DpdkProgram | null = null

/** Looked for once. Never throws. */
export const dpdkProgram = (): DpdkProgram => found ??= find()

function find (): DpdkProgram {
  const none = (reason: string): DpdkProgram => ({ path: null, version: '', reason })
  const places = ['build/Release', `prebuilds/${process.platform}-${process.arch}`]
  const path = places.map(place => join(packageRoot(), place, 'lockstep-dpdk')).find(file => existsSync(file))
  if (path === undefined) return none('lockstep-dpdk was not built: it needs libdpdk-dev and pkg-config (apt install libdpdk-dev pkg-config), then npm run build')
  const { status, stdout, stderr, error } = spawnSync(path, ['version'], { encoding: 'utf8', timeout: 10_000 })
  if (status === 0) return { path, version: stdout.trim(), reason: '' }
  return none(`lockstep-dpdk does not start, are the libraries of DPDK 22.11 there (apt install dpdk)? ${error?.message ?? stderr.trim()}`)
}
