/**
 * Parts that offline verbs load only when asked: `lockstep sessions list` must not pay for the agent, and a package without
 * benches still has a CLI. The specifier is a value so that the compiler does not follow it.
 */
import { LockstepError } from '../contract/errors.js'
import type { BackendName } from '../contract/dataplane.js'
import type { CheckResult } from '../contract/services.js'

export interface RunOptions {
  /** YAML file; `null`: the startup configuration of the state directory. */
  readonly config: string | null
  readonly backend: string | null
  readonly vppTransport: string | null
  /** `null`: as configured, else where hostDefaults says. */
  readonly socketPath: string | null
  readonly stateDirectory: string | null
  readonly instance: string | null
  /** Which node of the file this is; `null`: as configured, else the host name. */
  readonly node: string | null
  /** `null`: as configured. */
  readonly logLevel: string | null
}

export interface MainModule { readonly runAgent: (options: RunOptions) => Promise<number>, readonly teardown: (instance: string) => Promise<boolean> }
export interface QuickstartModule { readonly quickstart: (options: { readonly socketPath: string | null }) => Promise<number> }
export interface GatewayModule { readonly gatewayMain: (options: GatewayCliOptions) => Promise<number> }
export interface LabModule { readonly labMain: (argv: string[]) => Promise<number> }
export interface BenchModule { readonly benchMain: (argv: string[]) => Promise<number> }
export interface ConfigModule { readonly checkText: (text: string, options: { readonly file: string | null, readonly node: string | null }) => CheckResult | Promise<CheckResult> }
export interface DoctorModule { readonly doctor: (options: DoctorOptions) => Promise<Diagnosis> }
export interface ImportModule { readonly importConfig: (format: ImportFormat, text: string, source: ImportSource) => { readonly yaml: string, readonly notes: readonly ImportNote[] } }
export interface HostDefaultsModule { readonly hostDefaults: (env: Readonly<Record<string, string | undefined>>) => { readonly socketPath: string } }

export type ImportFormat = 'maglev' | 'keepalived' | 'conntrackd'
/** `line` null: about the whole. */
export interface ImportNote { readonly line: number | null, readonly text: string, readonly reason: string }

export interface ImportSource {
  /** For messages. */
  readonly file: string
  /** Names of the nodes of a pair; `null`: as the text says, else node-1 and node-2. */
  readonly node: string | null
  readonly peer: string | null
  readonly configId: string | null
}

export interface GatewayCliOptions {
  readonly socketPath: string
  readonly servers?: readonly string[] | undefined
  readonly http: string
  readonly grpc: string
  readonly named?: { readonly http: string, readonly grpc: string }
  readonly role: string
  readonly user: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly tlsCa?: string
  readonly debug?: string
  readonly debugLinks?: readonly string[] | undefined
  readonly onReady?: (text: string) => void
  readonly onNote?: (text: string) => void
  readonly signal?: AbortSignal
}

export interface DoctorOptions {
  /** YAML; `null`: every interface is looked at. */
  readonly text: string | null
  readonly name: string
  readonly running: boolean
  /** `null`: as configured. */
  readonly backend: BackendName | null
  readonly signal?: AbortSignal
}

export interface Finding {
  readonly id: string
  readonly subject: string
  readonly severity: 'ok' | 'note' | 'warning' | 'error'
  readonly finding: string
  readonly consequence: string
  readonly command: string
  readonly source: string
}

export interface Diagnosis { readonly backend: BackendName, readonly root: boolean, readonly interfaces: number, readonly findings: readonly Finding[] }

const places = {
  main: '../main.js',
  quickstart: '../quickstart.js',
  gateway: '../gateway/main.js',
  lab: '../../test/lab/main.js',
  bench: '../../bench/main.js',
  config: '../config/check.js',
  doctor: '../operator/doctor/index.js',
  import: '../config/import/index.js',
  hostDefaults: '../config/host-defaults.js'
} as const

interface Modules {
  main: MainModule
  quickstart: QuickstartModule
  gateway: GatewayModule
  lab: LabModule
  bench: BenchModule
  config: ConfigModule
  doctor: DoctorModule
  import: ImportModule
  hostDefaults: HostDefaultsModule
}

export async function load<Name extends keyof Modules> (name: Name): Promise<Modules[Name]> {
  const place: string = places[name]
  try {
    return await import(place) as Modules[Name]
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(place.split('/').at(-1) ?? place)) throw cause
    throw new LockstepError('unsupported', 'LS_U_MODULE', 'this part is not in this package', { object: name, next: name === 'lab' || name === 'bench' ? 'use a clone of the repository: npm run build, then run this there' : 'reinstall the package' }, cause)
  }
}
