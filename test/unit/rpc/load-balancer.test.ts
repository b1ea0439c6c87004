/** lockstep.v1.LoadBalancer over a socket. */
import t from 'tap'
import { call, messages } from '../../../src/cli/client.js'
import { TargetOperation } from '../../../src/generated/proto/lockstep/v1/load_balancer.js'
import { withServer } from './with-server.js'

t.test('VIPs as they are weighed; one by name; none of that name', async (t) => {
  const { connection: { loadBalancer: lb } } = await withServer(t)
  const { vips } = await call(lb, lb.listVips, { name: '' })
  t.match(vips, [
    { name: 'web', address: '192.0.2.80/32', port: 80, protocol: 6, mode: 'nat', rg: 0, state: 'VIP_STATE_UP', pool: 'main', reals: [{ name: 'a', weight: 100, configuredWeight: 100, state: 'serving', target: 'http/10.0.0.1:80' }, { name: 'b', weight: 0, state: 'down' }, { name: 'sorry', target: undefined }] },
    { name: 'dns', state: 'VIP_STATE_DOWN', pool: undefined }
  ])
  t.same((await call(lb, lb.listVips, { name: 'dns' })).vips.map((v) => v.name), ['dns'])
  await t.rejects(call(lb, lb.listVips, { name: 'nothing' }), { code: 'LS_E_NOT_FOUND' })
})

t.test('targets with their latest probe and changes', async (t) => {
  const { connection: { loadBalancer: lb } } = await withServer(t)
  const { targets } = await call(lb, lb.listTargets, { id: '' })
  t.match(targets, [
    { id: 'dns/10.0.0.1:53', state: 'TARGET_STATE_UNKNOWN', last: undefined, history: [], probing: false, nextAtMs: undefined },
    { id: 'http/10.0.0.2:8080', state: 'TARGET_STATE_DOWN', count: 1, sinceMs: 1_700_000_000_000n, passed: 10n, failed: 3n, last: { ok: false, code: 'status', tookMs: 1.5 }, probing: false, nextAtMs: 1_700_000_002_000n, history: [{ from: 'TARGET_STATE_UP', to: 'TARGET_STATE_DOWN', code: 'status' }] }
  ])
  await t.rejects(call(lb, lb.listTargets, { id: 'http/nobody' }), { code: 'LS_E_NOT_FOUND' })
})

t.test('operators pause and disable; what is no operation, or no target, is refused', async (t) => {
  const { connection: { loadBalancer: lb }, agent } = await withServer(t)
  const id = 'http/10.0.0.2:8080'
  for (const operation of [TargetOperation.TARGET_OPERATION_PAUSE, TargetOperation.TARGET_OPERATION_RESUME, TargetOperation.TARGET_OPERATION_DISABLE, TargetOperation.TARGET_OPERATION_ENABLE]) await call(lb, lb.operateTarget, { id, operation })
  t.same(agent.loadBalancer.said, ['pause', 'resume', 'disable', 'enable'].map((word) => `${word} ${id}`))
  await t.rejects(call(lb, lb.operateTarget, { id, operation: TargetOperation.TARGET_OPERATION_UNSPECIFIED }), { code: 'LS_R_OPERATION' })
  await t.rejects(call(lb, lb.operateTarget, { id: 'http/nobody', operation: TargetOperation.TARGET_OPERATION_PAUSE }), { code: 'LS_E_NOT_FOUND' })
})

t.test('what is put arrives as it was meant, and what was put is told', async (t) => {
  const { connection: { loadBalancer: lb }, agent } = await withServer(t)
  const terms = { owner: 'ctl', reason: 'why', ttlMs: 30_000n }
  await call(lb, lb.putVip, { vip: { name: 'api', address: '192.0.2.9', port: 443, protocol: '', mode: 'ipip', rg: 2, sourceIpSticky: true, healthcheck: 'tcp' }, terms })
  await call(lb, lb.putReals, { vip: 'api', pool: 'main', reals: [{ address: '10.0.0.7', port: 0, name: '', healthcheck: '' }, { address: '10.0.0.8', port: 8443, weight: 0, name: 'b', healthcheck: 'none' }], terms: { ...terms, ttlMs: 0n } })
  await call(lb, lb.adjustReal, { vip: 'web', real: 'a', drain: true, terms })
  await call(lb, lb.adjustReal, { vip: 'web', real: 'a', weight: 0, drain: false, terms })
  await call(lb, lb.restoreReal, { vip: 'web', real: 'a' })
  await call(lb, lb.deleteReals, { vip: 'api', owner: 'ctl' })
  await call(lb, lb.deleteVip, { name: 'api', owner: 'ctl' })
  const by = { owner: 'ctl', reason: 'why', ttlMs: 30_000 }
  t.same(agent.loadBalancer.changes, [
    { kind: 'put-vip', vip: 'api', settings: { address: '192.0.2.9', port: 443, 'redundancy-group': 2, 'source-ip-sticky': true, healthcheck: 'tcp', mode: 'ipip' }, ...by },
    { kind: 'put-reals', vip: 'api', pool: 'main', reals: [{ address: '10.0.0.7' }, { address: '10.0.0.8', port: 8443, weight: 0, name: 'b', healthcheck: 'none' }], ...by, ttlMs: null },
    { kind: 'adjust', vip: 'web', real: 'a', weight: null, drained: true, ...by }, { kind: 'adjust', vip: 'web', real: 'a', weight: 0, drained: false, ...by },
    { kind: 'restore', vip: 'web', real: 'a' }, { kind: 'delete-reals', vip: 'api', owner: 'ctl' }, { kind: 'delete-vip', vip: 'api', owner: 'ctl' }
  ])
  await t.rejects(call(lb, lb.putVip, { vip: undefined, terms }), { code: 'LS_V_VIP' })
  await t.rejects(call(lb, lb.adjustReal, { vip: 'web', real: 'a', drain: true, terms: undefined }), { code: 'LS_V_OWNER' })
  const held = { owner: 'ctl', reason: 'why', since: 5, until: 9 }
  agent.loadBalancer.laid = {
    vips: [{ vip: 'api', settings: { address: '192.0.2.9', port: 'any' }, ...held }], reals: [{ vip: 'api', pool: '', reals: [{ address: '10.0.0.7' }], ...held, until: null }],
    adjusted: [{ vip: 'web', real: 'a', weight: null, drained: true, ...held }]
  }
  t.match(await call(lb, lb.getOverlay, {}), {
    vips: [{ vip: { name: 'api', address: '192.0.2.9', port: 0 }, hold: { owner: 'ctl', sinceMs: 5n, untilMs: 9n } }], reals: [{ vip: 'api', reals: [{ address: '10.0.0.7', weight: undefined }], hold: { untilMs: 0n } }],
    adjusted: [{ vip: 'web', real: 'a', weight: undefined, drained: true }]
  })
})

t.test('events: the latest and those that come, of a level and of names; what is no level is refused', async (t) => {
  const { connection: { loadBalancer: lb }, agent: { loadBalancer: { events } } } = await withServer(t)
  const event = (name: string, level: 'debug' | 'info' | 'warn', n: number): void => { events.tell({ at: n, name, level, fields: { n, vip: 'web', none: null } }) }
  event('vip-state', 'warn', 1)
  event('lb-sync-start', 'debug', 2)
  const seen = async (minLevel: string, names: string[], wanted: number): Promise<string[]> => {
    const got: string[] = []
    const stream = lb.watch({ minLevel, names })
    for await (const message of messages(stream)) {
      got.push(...message.events.map((e) => `${e.name} ${e.level} ${String(e.fields[0]?.value?.value)}`))
      if (got.length >= wanted) break
      if (message.events.length === 0) event('real-transition', 'info', 3)
    }
    return got
  }
  t.same(await seen('', [], 2), ['vip-state warn 1', 'real-transition info 3'])
  t.same(await seen('debug', ['lb-sync-start'], 1), ['lb-sync-start debug 2'])
  t.same(await seen('warn', [], 1), ['vip-state warn 1'])
  await t.rejects(seen('loud', [], 1), { code: 'LS_R_LEVEL' })
})
