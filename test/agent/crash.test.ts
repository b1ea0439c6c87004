/** A killed agent at any moment of an apply: the next start finds the old state or the new one, never a mixture. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { GenerationState, type ConfigGetStatusResponse, type ConfigHistoryResponse } from '../../src/generated/proto/lockstep/v1/config.js'
import type { SessionsVerifyResponse } from '../../src/generated/proto/lockstep/v1/sessions.js'
import { apply, ask, idle, place, sources, startAgent, textOf, type Running } from './agent-process.js'
import { until } from '../until.js'

const seed = Number(process.env['LOCKSTEP_TEST_SEED'] ?? Date.now() % 1_000_000_007)
const rounds = Number(process.env['LOCKSTEP_TEST_ROUNDS'] ?? 5)
let state = seed >>> 0
const random = (): number => { state = (Math.imul(state, 1664525) + 1013904223) >>> 0; return state / 2 ** 32 }

const status = async (agent: Running): Promise<ConfigGetStatusResponse> => await ask(done => agent.calls.config.getStatus({}, done))

t.test(`kill -9 during an apply, ${rounds} times (LOCKSTEP_TEST_SEED=${seed})`, async t => {
  const p = place(t)
  p.write(sources('start'))
  const texts = new Set([sources('start')])
  let acknowledged = 1n
  for (let round = 0; round < rounds; round++) {
    const agent = await startAgent(t, p)
    const found = await status(agent)
    t.ok(texts.has(await textOf(agent)), `round ${round}: what runs is one of what was applied`)
    t.ok((found.running?.generation ?? 0n) >= acknowledged, 'what was acknowledged is not lost')
    const { generations } = await ask<ConfigHistoryResponse>(done => agent.calls.config.history({ limit: 0 }, done))
    t.equal(generations.filter(g => g.state === GenerationState.GENERATION_STATE_RUNNING || g.state === GenerationState.GENERATION_STATE_UNCONFIRMED).length, 1, 'one generation runs')
    t.equal(new Set(generations.map(g => g.generation)).size, generations.length, 'no number twice')
    t.ok((await ask<SessionsVerifyResponse>(done => agent.calls.sessions.verify({}, done))).ok)
    t.same(readdirSync(p.state).filter(name => name.endsWith('.tmp') || name.endsWith('.damaged')), [])
    const ms = random() * 250
    const ended = agent.ended
    setTimeout(() => agent.child.kill('SIGKILL'), ms)
    for (let i = 0; agent.child.signalCode === null; i++) {
      const next = sources(`r${round}-${i}`)
      texts.add(next)
      try {
        const done = await ask<{ generation?: { generation: bigint } | undefined }>(answer => agent.calls.config.apply(apply(next), answer))
        acknowledged = done.generation?.generation ?? acknowledged
      } catch {
        break // the agent is gone
      }
    }
    t.same(await ended, { code: null, signal: 'SIGKILL' }, `after ${ms.toFixed(1)} ms`)
    agent.calls.close()
  }
  const last = await startAgent(t, p)
  t.ok(texts.has(await textOf(last)))
  t.same(await last.stop(), { code: 0, signal: null })
  t.same(p.leftovers(), [])
})

t.test('apply --confirm rolls back by itself', async t => {
  const p = place(t)
  p.write(idle('good'))
  const agent = await startAgent(t, p)
  await ask(done => agent.calls.config.apply(apply(idle('risky'), { confirmWithinMs: 1000n }), done))
  t.equal(await textOf(agent), idle('risky'))
  await t.rejects(ask(done => agent.calls.config.apply(apply(idle('other')), done)), { message: /LS_C_UNCONFIRMED|unconfirmed/ }, 'no second apply meanwhile')
  await until('the rollback', async () => (await status(agent)).unconfirmed === undefined)
  t.equal(await textOf(agent), idle('good'))
  await ask(done => agent.calls.config.apply(apply(idle('kept'), { confirmWithinMs: 60_000n }), done))
  const waiting = (await status(agent)).unconfirmed?.generation ?? 0n
  await ask(done => agent.calls.config.confirm({ generation: waiting }, done))
  t.equal(await textOf(agent), idle('kept'))
  t.same(await agent.stop(), { code: 0, signal: null })
})

t.test('apply --confirm rolls back although the agent was dead at the deadline', async t => {
  const p = place(t)
  p.write(idle('good'))
  const first = await startAgent(t, p)
  await ask(done => first.calls.config.apply(apply(idle('risky'), { confirmWithinMs: 1000n }), done))
  await first.stop('SIGKILL')
  await new Promise(resolve => setTimeout(resolve, 1050))
  const second = await startAgent(t, p)
  t.equal(await textOf(second), idle('good'))
  t.equal((await status(second)).unconfirmed, undefined)
  t.ok(existsSync(join(p.state, 'state.json')))
  t.same(await second.stop(), { code: 0, signal: null })
})
