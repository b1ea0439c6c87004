/** What a node says became of a transaction, in every shape: a refusal is of one report, what cannot be read proves nothing, and what is shown is one short line. */
import t from 'tap'
import { failureOutcomes, sendOutcomes } from '../../../../src/bgp/sinks/solana/failures.js'
import { RpcError } from '../../../../src/bgp/sinks/solana/rpc.js'
import type { Outcome } from '../../../../src/bgp/sinks/sink.js'

const batch = [1, 2, 3]
const kinds = (outcomes: readonly Outcome[]): string => outcomes.map(({ kind }) => kind).join(' ')
const reasonOf = (outcome: Outcome | undefined): string => outcome === undefined || outcome.kind === 'landed' ? '' : outcome.reason
const deep = (): unknown => JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`) as unknown
const refused = (err: unknown): readonly Outcome[] => sendOutcomes(new RpcError('simulation failed', true, { code: -32002, data: { err } }), 1, batch)

t.test('one bad report, by its place behind the leading instructions', async t => {
  t.equal(kinds(failureOutcomes({ InstructionError: [2, { Custom: 8 }] }, 1, batch)), 'transient permanent transient')
  t.match(reasonOf(failureOutcomes({ InstructionError: [2, { Custom: 8 }] }, 1, batch)[1]), /the program refused it: {"Custom":8}, not allowed/)
  for (const at of [0, 4, -1, 1.5, '2', null]) t.equal(kinds(failureOutcomes({ InstructionError: [at, 'x'] }, 1, batch)), 'transient transient transient', String(at))
})

t.test('shapes that nobody has told of', async t => {
  const shapes = [{ InstructionError: [2] }, { InstructionError: [2, null] }, { InstructionError: [2, { Custom: deep() }] }, { InstructionError: [2, deep()] }, { InstructionError: [2, 'constructor'] }, { InstructionError: [2, '\u001b[2J\u202e'.repeat(100)] },
    { InstructionError: [2, { Custom: '__proto__' }] }]
  for (const shape of shapes) {
    const outcomes = refused(shape)
    t.equal(kinds(outcomes), 'transient permanent transient')
    t.notMatch(reasonOf(outcomes[1]), /native code|\p{Cc}|\u202e/u)
    t.ok(reasonOf(outcomes[1]).length < 2000)
  }
  for (const shape of [7, 'x', [], {}, deep(), { InstructionError: deep() }]) t.equal(kinds(refused(shape)), 'transient transient transient')
  t.equal(kinds(refused('AlreadyProcessed')), 'uncertain uncertain uncertain')
})
