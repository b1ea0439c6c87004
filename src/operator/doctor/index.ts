/** `lockstep doctor`: START HERE. What this host is like (gather/), judged by checks/ for a backend and a configuration. */
import { LockstepError } from '../../contract/errors.js'
import { hostDefaults } from '../../config/host-defaults.js'
import { parseConfig } from '../../config/parse.js'
import type { BackendName } from '../../contract/dataplane.js'
import { examine } from './examine.js'
import type { Finding } from './finding.js'
import { gather } from './gather/index.js'
import type { Scope } from './scope.js'

export interface DoctorOptions {
  /** YAML; `null`: no configuration, every interface of this namespace that is up is looked at. */
  readonly text: string | null
  /** Name of the text in errors. */
  readonly name: string
  /** An agent runs with it. */
  readonly running: boolean
  /** `null`: as configured. */
  readonly backend: BackendName | null
  readonly signal?: AbortSignal
}

export interface Diagnosis {
  readonly backend: BackendName
  /** Unprivileged, some facts cannot be seen; findings say which. */
  readonly root: boolean
  readonly interfaces: number
  readonly findings: readonly Finding[]
}

/** What agent.backend is when nobody says. */
const BACKEND: BackendName = 'userspace'

/** Changes nothing. @throws invalid LS_D_CONFIG: the text is no configuration. */
export async function doctor (o: DoctorOptions): Promise<Diagnosis> {
  const desired = o.text === null ? null : parse(o.text, o.name)
  const scope: Scope = { backend: o.backend ?? desired?.agent.backend ?? BACKEND, desired, running: o.running }
  const facts = await gather(scope, o.signal)
  return { backend: scope.backend, root: facts.root, interfaces: facts.interfaces.length, findings: examine(facts, scope) }
}

function parse (text: string, name: string): Scope['desired'] {
  const { desired, issues } = parseConfig(text, { host: hostDefaults() })
  if (desired !== null) return desired
  const first = issues[0]
  throw new LockstepError('invalid', 'LS_D_CONFIG', 'the configuration has errors', {
    object: name, found: `${issues.length}, first ${first?.path === '' ? '/' : first?.path ?? '/'}: ${first?.message ?? ''}`, next: `see them all: lockstep check ${name}`
  })
}
