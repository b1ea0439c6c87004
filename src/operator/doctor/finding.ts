/** What a check answers, and the shapes a check can have. */
import type { HostFacts, InterfaceFacts, NamespaceFacts } from './facts.js'
import { isUnseen, type Seen, type Unseen } from './seen.js'
import type { Scope } from './scope.js'

/** `error`: it will not work · `warning`: some traffic suffers · `note`: worth knowing · `ok`. */
export type Severity = 'ok' | 'note' | 'warning' | 'error'

export interface Outcome {
  readonly severity: Severity
  /** What is so on this host. */
  readonly finding: string
  /** What follows from it; empty when ok. */
  readonly consequence: string
  /** Command for a shell that ends it; empty: there is none that is right everywhere. */
  readonly command: string
  /** Where the fact was read. */
  readonly source: string
}

export interface Finding extends Outcome {
  /** The check. */
  readonly id: string
  /** An interface (`eth0`, `eth0@edge` in namespace edge), a namespace (`netns edge`), or `host`. */
  readonly subject: string
}

/** Every check is pure: facts in, answers out. None means that the question does not arise. */
interface CheckOf<Subject> {
  readonly id: string
  readonly look: (subject: Subject, context: Context) => ReadonlyArray<Outcome | Unseen>
}
export type HostCheck = CheckOf<HostFacts>
export type NamespaceCheck = CheckOf<NamespaceFacts>
export type InterfaceCheck = CheckOf<InterfaceFacts>

export interface Context { readonly facts: HostFacts, readonly scope: Scope }

export const ok = (finding: string, source: string): Outcome => ({ severity: 'ok', finding, consequence: '', command: '', source })

interface Text { readonly finding: string, readonly consequence: string, readonly command?: string, readonly source: string }
const at = (severity: Severity) => ({ command = '', ...text }: Text): Outcome => ({ severity, command, ...text })
export const note = at('note')
export const warning = at('warning')
export const error = at('error')

type Values<S extends ReadonlyArray<Seen<unknown>>> = { [K in keyof S]: S[K] extends Seen<infer T> ? T : never }

/** Answers from facts that were all seen; otherwise says which was not. `source` names all of them. */
export function from<const S extends ReadonlyArray<Seen<unknown>>> (seen: S, answer: (values: Values<S>, source: string) => ReadonlyArray<Outcome | Unseen>): ReadonlyArray<Outcome | Unseen> {
  const missing = seen.find(isUnseen)
  if (missing !== undefined) return [missing]
  const values = seen.map((s) => isUnseen(s) ? undefined : s.value) as Values<S>
  return answer(values, [...new Set(seen.map((s) => s.source))].join(', '))
}
