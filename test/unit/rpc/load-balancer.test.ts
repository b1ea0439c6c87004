/** lockstep.v1.LoadBalancer over a socket. */
import t from 'tap'
import { call } from '../../../src/cli/client.js'
import { TargetOperation } from '../../../src/generated/proto/lockstep/v1/load_balancer.js'
import { withServer } from './with-server.js'

t.test('VIPs as they are weighed; one by name; none of that name', async (t) => {
  const { connection: { loadBalancer: stub } } = await withServer(t)
  const { vips } = await call(stub, stub.listVips, { name: '' })
  t.match(vips, [
    { name: 'web', address: '192.0.2.80/32', port: 80, protocol: 6, mode: 'nat', rg: 0, state: 'VIP_STATE_UP', pool: 'main', reals: [{ name: 'a', weight: 100, configuredWeight: 100, state: 'serving', target: 'http/10.0.0.1:80' }, { name: 'b', weight: 0, state: 'down' }, { name: 'sorry', target: undefined }] },
    { name: 'dns', state: 'VIP_STATE_DOWN', pool: undefined }
  ])
  t.same((await call(stub, stub.listVips, { name: 'dns' })).vips.map((v) => v.name), ['dns'])
  await t.rejects(call(stub, stub.listVips, { name: 'nothing' }), { code: 'LS_E_NOT_FOUND' })
})

t.test('targets with their latest probe and changes', async (t) => {
  const { connection: { loadBalancer: stub } } = await withServer(t)
  const { targets } = await call(stub, stub.listTargets, { id: '' })
  t.match(targets, [
    { id: 'dns/10.0.0.1:53', state: 'TARGET_STATE_UNKNOWN', last: undefined, history: [] },
    { id: 'http/10.0.0.2:8080', state: 'TARGET_STATE_DOWN', count: 1, sinceMs: 1_700_000_000_000n, passed: 10n, failed: 3n, last: { ok: false, code: 'status', tookMs: 1.5 }, history: [{ from: 'TARGET_STATE_UP', to: 'TARGET_STATE_DOWN', code: 'status' }] }
  ])
  await t.rejects(call(stub, stub.listTargets, { id: 'http/nobody' }), { code: 'LS_E_NOT_FOUND' })
})

t.test('operators pause and disable; what is no operation, or no target, is refused', async (t) => {
  const { connection: { loadBalancer: stub }, agent } = await withServer(t)
  const id = 'http/10.0.0.2:8080'
  for (const operation of [TargetOperation.TARGET_OPERATION_PAUSE, TargetOperation.TARGET_OPERATION_RESUME, TargetOperation.TARGET_OPERATION_DISABLE, TargetOperation.TARGET_OPERATION_ENABLE]) await call(stub, stub.operateTarget, { id, operation })
  t.same(agent.loadBalancer.said, ['pause', 'resume', 'disable', 'enable'].map((word) => `${word} ${id}`))
  await t.rejects(call(stub, stub.operateTarget, { id, operation: TargetOperation.TARGET_OPERATION_UNSPECIFIED }), { code: 'LS_R_OPERATION' })
  await t.rejects(call(stub, stub.operateTarget, { id: 'http/nobody', operation: TargetOperation.TARGET_OPERATION_PAUSE }), { code: 'LS_E_NOT_FOUND' })
})
