/** Agent, Config, Telemetry, health and reflection over a real socket. */
import { readdirSync, readFileSync } from 'node:fs'
import { credentials, loadPackageDefinition, status, type Client, type ClientReadableStream } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { createRequire } from 'node:module'
import t from 'tap'
import { classOf, LockstepError } from '../../../src/contract/errors.js'
import { HealthClient } from '../../../src/generated/proto/grpc/health/v1/health.js'
import { ConfigText, type ConfigApplyRequest } from '../../../src/generated/proto/lockstep/v1/config.js'
import { call, messages } from '../../../src/cli/client.js'
import { errorOfStatus, type RemoteError } from '../../../src/cli/remote-error.js'
import { statusOfError } from '../../../src/rpc/error-status.js'
import { withServer } from './with-server.js'

const refusal = async (promise: Promise<unknown>): Promise<RemoteError> => await promise.then(() => { throw new Error('was not refused') }, (e: RemoteError) => e)

const request = (over: Partial<ConfigApplyRequest> = {}): ConfigApplyRequest =>
  ({ text: 'version: 1\n', author: 'anna', comment: 'why', expectedGeneration: undefined, requestId: 'r1', dryRun: false, confirmWithinMs: undefined, ...over })

t.test('agent: info and backends with reasons', async (t) => {
  const { connection: { agent: stub }, agent } = await withServer(t)
  t.match(await call(stub, stub.getInfo, {}), { version: '0.1.0', node: 'edge-1', state: 'AGENT_STATE_RUNNING', tableLive: 1000n, generation: 7n, startedAtMs: 1_700_000_000_000n, eventLoopDelayP99Ms: 1.25, gatewayGrpc: '127.0.0.1:50461', gatewayMetrics: '' })
  t.match(await call(stub, stub.getInfo, {}), { labels: [{ name: 'rack', value: 'b12' }], roles: [{ rg: 0, role: 'RG_ROLE_OWNER' }, { rg: 1, role: 'RG_ROLE_STANDBY' }] })
  agent.cluster.now = null
  t.same((await call(stub, stub.getInfo, {})).roles, [], 'alone')
  agent.info = { ...agent.info, state: 'degraded', reasons: ['eth1 is down'] }
  t.match(await call(stub, stub.getInfo, {}), { state: 'AGENT_STATE_DEGRADED', reasons: ['eth1 is down'] })
  const { backends } = await call(stub, stub.listBackends, {})
  t.match(backends, [{ name: 'userspace', available: true, active: true }, { name: 'ebpf', available: false, active: false, reason: /kernel/, capabilities: [{ name: 'snat', supported: false, reason: 'not probed' }] }])
})

t.test('config: status, text, check', async (t) => {
  const { connection: { config: stub } } = await withServer(t)
  const s = await call(stub, stub.getStatus, {})
  t.match(s, { drift: true, running: { generation: 1n, author: 'boot', source: 'GENERATION_SOURCE_STARTUP', state: 'GENERATION_STATE_RUNNING' } })
  t.equal(s.startupHash, undefined)
  t.equal(s.unconfirmed, undefined)
  t.equal((await call(stub, stub.getText, { which: ConfigText.CONFIG_TEXT_UNSPECIFIED })).text, 'version: 1\n')
  t.equal((await refusal(call(stub, stub.getText, { which: ConfigText.CONFIG_TEXT_STARTUP }))).grpcCode, status.NOT_FOUND)
  t.match(await call(stub, stub.check, { text: 'fine' }), { ok: true, warnings: ['no policy permits anything'], plan: [{ action: 'PLAN_ACTION_ADD', kind: 'zone', name: 'dmz' }] })
  t.match(await call(stub, stub.check, { text: 'bad' }), { ok: false, issues: [{ path: '/zones/0/name', line: 3, column: 5, code: 'LS_C_TYPE' }, { path: '/polices' }] })
})

t.test('config: apply passes every option on and returns generation, plan, warnings', async (t) => {
  const { connection: { config: stub }, agent } = await withServer(t)
  const r = await call(stub, stub.apply, request({ expectedGeneration: 1n, confirmWithinMs: 60_000n }))
  t.match(r, { generation: { generation: 2n, author: 'anna', comment: 'why', source: 'GENERATION_SOURCE_GRPC', state: 'GENERATION_STATE_UNCONFIRMED' }, warnings: [/no policy/], totalMs: 3 })
  t.equal(typeof r.generation?.confirmByMs, 'bigint')
  t.same(agent.config.lastOptions, { author: 'anna', comment: 'why', source: 'grpc', expectedGeneration: 1, confirmWithinMs: 60_000, requestId: 'r1', dryRun: false })
  t.match(await call(stub, stub.confirm, { generation: 0n }), { generation: { generation: 2n, state: 'GENERATION_STATE_RUNNING' } })
  t.equal((await refusal(call(stub, stub.confirm, { generation: 0n }))).code, 'LS_R_NOTHING_TO_CONFIRM')
  await call(stub, stub.apply, request({ dryRun: true, author: '', requestId: '' }))
  t.match(agent.config.lastOptions, { dryRun: true, author: 'grpc', requestId: null, expectedGeneration: null })
  t.equal(agent.config.generations.length, 2)
})

t.test('config: a refused text comes back with every error', async (t) => {
  const { connection: { config: stub } } = await withServer(t)
  const e = await refusal(call(stub, stub.apply, request({ text: 'bad' })))
  t.equal(e.grpcCode, status.INVALID_ARGUMENT)
  t.equal(e.code, 'LS_C_REFUSED')
  t.same(e.violations, [
    { field: '/zones/0/name', reason: 'LS_C_TYPE', description: 'line 3: is not a string: found 7, expected a string' },
    { field: '/polices', reason: 'LS_C_UNKNOWN_KEY', description: 'line 9: unknown key: found polices, expected policies' }
  ])
})

t.test('config: a stale generation is ABORTED, bad options INVALID_ARGUMENT', async (t) => {
  const { connection: { config: stub } } = await withServer(t)
  const e = await refusal(call(stub, stub.apply, request({ expectedGeneration: 9n })))
  t.equal(e.grpcCode, status.ABORTED)
  t.match(e.detail, { found: '1', expected: '9', next: /apply again/ })
  for (const over of [{ confirmWithinMs: 10n }, { confirmWithinMs: 10n ** 12n }, { author: 'x'.repeat(257) }, { requestId: 'x'.repeat(129) }, { comment: 'é'.repeat(513) }, { text: ' '.repeat((2 << 20) + 1) }]) {
    t.equal((await refusal(call(stub, stub.apply, request(over)))).grpcCode, status.INVALID_ARGUMENT)
  }
})

t.test('config: history, compare, rollback, save', async (t) => {
  const { connection: { config: stub }, agent } = await withServer(t)
  t.equal((await refusal(call(stub, stub.compare, { fromGeneration: 0n, toGeneration: 0n }))).grpcCode, status.NOT_FOUND)
  await call(stub, stub.apply, request())
  await call(stub, stub.apply, request())
  t.strictSame((await call(stub, stub.history, { limit: 0 })).generations.map((g) => [g.generation, g.state]), [[3n, 'GENERATION_STATE_RUNNING'], [2n, 'GENERATION_STATE_SUPERSEDED'], [1n, 'GENERATION_STATE_SUPERSEDED']])
  t.equal((await call(stub, stub.history, { limit: 1 })).generations.length, 1)
  t.match((await call(stub, stub.compare, { fromGeneration: 0n, toGeneration: 0n })).plan, [{ detail: '2 -> 3' }])
  t.equal((await call(stub, stub.compare, { fromGeneration: 1n, toGeneration: 2n })).plan.length, 1, 'what stays is left out')
  const r = await call(stub, stub.rollback, { generation: 1n, author: 'anna', comment: '', expectedGeneration: 3n, requestId: '', dryRun: false, confirmWithinMs: undefined })
  t.match(r.generation, { generation: 4n, source: 'GENERATION_SOURCE_ROLLBACK' })
  t.equal((await refusal(call(stub, stub.rollback, { generation: 99n, author: '', comment: '', expectedGeneration: undefined, requestId: '', dryRun: false, confirmWithinMs: undefined }))).grpcCode, status.NOT_FOUND)
  t.match(await call(stub, stub.save, {}), { generation: { generation: 4n } })
  t.equal(agent.config.saved, 'version: 1\n')
})

t.test('telemetry: counters with names, blocks chosen, zeros on request', async (t) => {
  const { connection: { telemetry: stub } } = await withServer(t)
  const r = await call(stub, stub.snapshot, { blocks: [], zeros: false })
  t.match(r, { timeNs: 123_456_789n, generation: 7n })
  const block = (name: string): unknown => r.blocks.find((b) => b.name === name)?.rows
  t.match(block('global'), [{ name: 'rx_packets', text: 'packets received', values: [1000n] }])
  t.match(block('drops'), [{ name: 'policy_deny', values: [5n] }])
  t.match(block('zone_in'), [{ id: 1, name: 'clients', values: [700n, 70_000n] }, { id: 2, name: 'servers', values: [0n, 0n] }])
  t.match(block('real'), [{ name: 'web/a', values: [41n, 0n, 0n] }, { name: 'dns/a', values: [0n, 0n, 0n] }], 'fields beyond the known ones are not shown')
  const drops = await call(stub, stub.snapshot, { blocks: ['drops'], zeros: true })
  t.equal(drops.blocks.length, 1)
  t.ok((drops.blocks[0]?.rows.length ?? 0) > 50)
  t.match(await refusal(call(stub, stub.snapshot, { blocks: ['dorps'], zeros: false })), { grpcCode: status.INVALID_ARGUMENT, detail: { found: 'dorps' } })
})

t.test('telemetry: flood counters of one zone or all', async (t) => {
  const { connection: { telemetry: stub } } = await withServer(t)
  t.strictSame((await call(stub, stub.floodCounters, { zone: '' })).zones.map((z) => z.zone), ['clients', 'servers'])
  const one = await call(stub, stub.floodCounters, { zone: 'servers' })
  t.match(one.zones, [{ zone: 'servers', counters: [{ screen: 'syn_flood', hits: 0n, rate: 20n, text: 'SYN rate of the zone' }] }])
  t.match((await call(stub, stub.floodCounters, { zone: '#1' })).zones, [{ zone: 'clients', counters: [{ hits: 3n, rate: 10n }] }])
  t.match(await refusal(call(stub, stub.floodCounters, { zone: 'dmz' })), { detail: { expected: 'one of clients servers' } })
})

t.test('telemetry: NAT pools by name or id; calls at the same time share one walk', async (t) => {
  const { connection: { telemetry: stub }, agent } = await withServer(t)
  const all = await Promise.all(Array.from({ length: 50 }, async () => await call(stub, stub.natUsage, { pool: '' })))
  t.equal(agent.nat.walks, 1)
  t.match(all[49]?.addresses, [
    { pool: 'out', poolId: 1, address: '203.0.113.1', ports: 64_512, sessions: 16_128n, created: 70_000n, failed: 0n },
    { pool: 'out', address: '2001:db8:7::1', sessions: 80_640n, failed: 12n }
  ])
  t.equal((await call(stub, stub.natUsage, { pool: '#1' })).addresses.length, 2)
  t.match(await refusal(call(stub, stub.natUsage, { pool: 'in' })), { grpcCode: status.INVALID_ARGUMENT, code: 'LS_R_POOL', detail: { found: 'in', expected: 'one of out' } })
})

t.test('telemetry: the metrics page', async (t) => {
  const { connection: { telemetry } } = await withServer(t)
  const { contentType, text } = await call(telemetry, telemetry.metrics, { names: '' })
  t.match(contentType, /^text\/plain/)
  t.match(text, /^lockstep_vip_packets_total\{vip="web"\} 40$/m)
  t.match((await call(telemetry, telemetry.metrics, { names: 'maglev' })).text, /^maglev_frontend_pool_backend_weight\{frontend="web",pool="main",backend="b"\} 100$/m)
  for (const names of ['nagios', '__proto__']) t.match(await refusal(call(telemetry, telemetry.metrics, { names })), { grpcCode: status.INVALID_ARGUMENT, code: 'LS_R_NAMES' })
})

t.test('health: check and watch follow the agent', async (t) => {
  const { server, socketPath } = await withServer(t)
  const stub = new HealthClient(`unix:${socketPath}`, credentials.createInsecure())
  t.teardown(() => stub.close())
  t.same(await call(stub, stub.check, { service: '' }), { status: 'SERVING' })
  t.same(await call(stub, stub.check, { service: 'lockstep.v1.Sessions' }), { status: 'SERVING' })
  t.equal((await refusal(call(stub, stub.check, { service: 'nonsense' }))).grpcCode, status.NOT_FOUND)
  const watch = messages(stub.watch({ service: '' }))
  t.match(await watch.next(), { value: { status: 'SERVING' } })
  server.setServing(false)
  t.match(await watch.next(), { value: { status: 'NOT_SERVING' } })
  await watch.return(undefined)
})

t.test('channelz answers, and who asks for backends at the same time shares one probe', async (t) => {
  const { socketPath, connection: { agent: stub }, agent } = await withServer(t)
  const original = agent.services.probeAll
  let probes = 0
  Object.assign(agent.services, { probeAll: async () => { probes++; await new Promise((resolve) => setTimeout(resolve, 100)); return await original() } })
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await call(stub, stub.listBackends, {})))
  t.ok(answers.every((a) => a.backends.length === 2))
  t.ok(probes <= 2, `${probes} probes`)

  interface Servers { server: Array<{ data: { calls_started: string, calls_succeeded: string } }> }
  const directory = createRequire(import.meta.url).resolve('@grpc/grpc-js/package.json').replace('package.json', 'proto')
  const root = loadPackageDefinition(loadSync('channelz.proto', { includeDirs: [directory], keepCase: true, longs: String })) as unknown as { grpc: { channelz: { v1: { Channelz: new (target: string, c: ReturnType<typeof credentials.createInsecure>) => Client & { GetServers: (r: unknown, done: (e: Error | null, r: Servers) => void) => void } } } } }
  const channelz = new root.grpc.channelz.v1.Channelz(`unix:${socketPath}`, credentials.createInsecure())
  t.teardown(() => channelz.close())
  const servers = await new Promise<Servers>((resolve, reject) => channelz.GetServers({}, (e, r) => { if (e === null) resolve(r); else reject(e) }))
  t.ok(servers.server.some((s) => Number(s.data.calls_succeeded) >= 20))
})

t.test('reflection lists the services and knows their files, v1 and v1alpha', async (t) => {
  const { socketPath } = await withServer(t)
  const protoDirectory = createRequire(import.meta.url).resolve('@grpc/reflection/package.json').replace('package.json', 'build/proto')
  for (const version of ['v1', 'v1alpha']) {
    interface ReflectionResponse { list_services_response?: { service: Array<{ name: string }> }, file_descriptor_response?: { file_descriptor_proto: Buffer[] } }
    const root = loadPackageDefinition(loadSync(`grpc/reflection/${version}/reflection.proto`, { includeDirs: [protoDirectory], keepCase: true, oneofs: true })) as unknown as { grpc: { reflection: Record<string, { ServerReflection: new (target: string, c: ReturnType<typeof credentials.createInsecure>) => Client & { ServerReflectionInfo: () => ClientReadableStream<ReflectionResponse> & { write: (m: unknown) => void, end: () => void } } }> } }
    const Stub = root.grpc.reflection[version]?.ServerReflection
    if (Stub === undefined) throw new Error('no stub')
    const stub = new Stub(`unix:${socketPath}`, credentials.createInsecure())
    const stream = stub.ServerReflectionInfo()
    stream.on('error', () => {})
    const ask = async (message: unknown): Promise<ReflectionResponse> => await new Promise((resolve) => { stream.once('data', resolve); stream.write(message) })
    const names = (await ask({ list_services: '*' })).list_services_response?.service.map((s) => s.name) ?? []
    t.same(names.filter(name => name.startsWith('lockstep.')).sort(), readdirSync('proto/lockstep/v1').flatMap(file => [...readFileSync(`proto/lockstep/v1/${file}`, 'utf8').matchAll(/^service (\w+) /gm)].map(([, name]) => `lockstep.v1.${name}`)).sort(), version)
    t.ok(names.includes('grpc.health.v1.Health') && names.includes('grpc.channelz.v1.Channelz'))
    t.ok((await ask({ file_containing_symbol: 'grpc.health.v1.Health' })).file_descriptor_response !== undefined)
    const files = (await ask({ file_containing_symbol: 'lockstep.v1.Sessions.List' })).file_descriptor_response?.file_descriptor_proto ?? []
    const text = Buffer.concat(files).toString('latin1')
    for (const name of ['SessionsListRequest', 'SessionFilter', 'SessionBatch', 'with_names']) t.ok(text.includes(name), `${version}: the descriptors hold ${name}`)
    stream.end()
    stub.close()
  }
})

t.test('errors: details survive the header limits; foreign errors keep their class', async (t) => {
  const long = statusOfError(new LockstepError('invalid', 'LS_C_LONG', 'x'.repeat(10_000), { object: 'é'.repeat(5000) }),
    Array.from({ length: 200 }, (_, i) => ({ field: `/policies/${i}`, description: 'd'.repeat(300), reason: 'LS_C_TYPE' })))
  const bytes = long.metadata.get('grpc-status-details-bin')[0] as Buffer
  t.ok(bytes.length * 4 / 3 < 8192 && Buffer.byteLength(long.details) <= 1024, `${bytes.length} bytes`)
  const back = errorOfStatus(Object.assign(new Error('x'), long))
  t.equal(classOf(back), 'invalid')
  t.ok(back.violations.length > 5 && back.violations.length < 50)
  t.ok(back.detail.object?.endsWith('…'))
  const foreign = errorOfStatus(Object.assign(new Error('14 UNAVAILABLE: gone'), { code: status.UNAVAILABLE, details: 'gone', metadata: statusOfError(null).metadata.clone() }))
  t.equal(foreign.grpcCode, status.UNAVAILABLE)
  const broken = statusOfError(null)
  broken.metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff, 0xff]))
  t.equal(errorOfStatus(Object.assign(new Error('x'), broken)).code, 'LS_R_INTERNAL', 'garbage in the details is not fatal')
})
