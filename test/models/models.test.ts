/** The protocols of the session table hold in every interleaving of two workers, the freer and its successors (docs/design/0002). */
import t from 'tap'
import { describe, findTools, verify } from './spin.js'

const models: readonly (readonly [file: string, promise: string])[] = [
  ['create.pml', 'two creators of one flow, from either side, never leave two sessions, and a lone creator succeeds'],
  ['create_translated.pml', 'two flows never get one translated port, and an undone slot is used again without a grace'],
  ['free.pml', 'a flow with a packet inside its timeout is never freed'],
  ['revive.pml', 'an expired session is revived once, and an order by id deletes no other session'],
  ['freer_dies.pml', 'a successor finishes the batch of a freer that died at any step'],
  ['freer_dies_adopt.pml', 'no slot is lost or given twice when the freer dies at any step'],
  ['agent_dies.pml', 'two deaths of the agent lose nothing, also when the second interrupts the adoption'],
  ['adopt_only.pml', 'adoption alone repairs what two deaths left'],
  ['order_dies.pml', 'an agent that dies while it deletes by id leaves no order against a revived session'],
  ['adopt.pml', 'adoption finds a lost slot and leaves those in hand alone'],
  ['worker_dies.pml', 'what a worker that died while reviving left is ended after a grace'],
  ['worker_dies_creating.pml', 'what a worker that died while creating left is undone'],
  ['notices.pml', 'the last change of a record is always told, or an overrun says that it was not'],
]

const tools = await findTools()
const skip = typeof tools === 'string' ? tools : false
const compiler = typeof tools === 'string' ? '' : tools.compiler

for (const [file, promise] of models) {
  t.test(`${promise} (${file})`, { skip }, async t => {
    const verdict = await verify(file, compiler, 'errors')
    t.comment(describe(verdict))
    t.ok(verdict.exhaustive, 'every state was visited')
    t.equal(verdict.errors, 0, verdict.failure)
  })
}

t.test('creators never go round for ever (create.pml)', { skip }, async t => {
  const verdict = await verify('create.pml', compiler, 'cycles')
  t.comment(describe(verdict))
  t.ok(verdict.exhaustive, 'every state was visited')
  t.equal(verdict.errors, 0, verdict.failure)
})
