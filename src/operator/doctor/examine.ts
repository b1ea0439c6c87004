/** Runs every check over the facts. Pure. What could not be seen becomes a finding too, one for each reason. */
import { hostChecks, interfaceChecks, namespaceChecks } from './checks/index.js'
import type { HostFacts } from './facts.js'
import { note, type Context, type Finding, type Outcome } from './finding.js'
import { namespaceName, placeOf, type Scope } from './scope.js'
import { isUnseen, type Unseen } from './seen.js'

interface Answer { readonly id: string, readonly subject: string, readonly outcome: Outcome | Unseen }

export function examine (facts: HostFacts, scope: Scope): Finding[] {
  const context: Context = { facts, scope }
  const answers: Answer[] = [
    ...hostChecks.flatMap(({ id, look }) => look(facts, context).map((outcome) => ({ id, subject: 'host', outcome }))),
    ...facts.namespaces.flatMap((n) => namespaceChecks.flatMap(({ id, look }) => look(n, context).map((outcome) => ({ id, subject: namespaceName(n.netns), outcome })))),
    ...facts.interfaces.flatMap((i) => interfaceChecks.flatMap(({ id, look }) => missing(i, id) ? [] : look(i, context).map((outcome) => ({ id, subject: placeOf(i), outcome }))))
  ]
  const findings = answers.flatMap(({ id, subject, outcome }) => isUnseen(outcome) ? [] : [{ id, subject, ...outcome }])
  return [...findings, ...blindSpots(answers)]
}

/** Of an interface that does not exist only the check `link` speaks. */
const missing = (i: HostFacts['interfaces'][number], id: string): boolean => id !== 'link' && !isUnseen(i.link) && i.link.value === null

function blindSpots (answers: readonly Answer[]): Finding[] {
  const reasons = new Map<string, { readonly why: Unseen, readonly checks: Set<string>, readonly subjects: Set<string>, readonly sources: Set<string> }>()
  for (const { id, subject, outcome } of answers) {
    if (!isUnseen(outcome)) continue
    const key = `${outcome.unseen}\n${outcome.command}`
    const known = reasons.get(key) ?? { why: outcome, checks: new Set(), subjects: new Set(), sources: new Set() }
    reasons.set(key, known)
    known.checks.add(id)
    known.subjects.add(subject)
    known.sources.add(outcome.source)
  }
  return [...reasons.values()].map(({ why, checks, subjects, sources }) => ({
    id: 'cannot-tell',
    subject: subjects.size === 1 ? [...subjects][0] ?? 'host' : 'host',
    ...note({
      finding: `cannot tell: ${why.unseen} (${[...checks].join(', ')}${subjects.size === 1 ? '' : ` of ${[...subjects].join(', ')}`})`,
      consequence: 'these checks are left out', command: why.command, source: [...sources].join(', ')
    })
  }))
}
