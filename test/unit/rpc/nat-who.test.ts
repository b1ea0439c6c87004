/** Who had a translated address: open sessions of a real table, and those that ended, in one answer. */
import t from 'tap'
import { call } from '../../../src/cli/client.js'
import type { AgentServices } from '../../../src/contract/services.js'
import { limits } from '../../../src/generated/layout.js'
import type { TelemetryNatWhoRequest, TelemetryNatWhoResponse } from '../../../src/generated/proto/lockstep/v1/telemetry.js'
import { loadCore } from '../../../src/native/load.js'
import { createSessionStore } from '../../../src/native/session-store.js'
import { natWho } from '../../../src/rpc/nat-who.js'
import { TableTurns } from '../../../src/rpc/turns.js'
import { endedTranslations, natHistoryMemory, NatHistoryWriter } from '../../../src/telemetry/nat-history.js'
import { concat, RECORD, wireRecord } from '../../conformance/wire.js'
import { createFakeAgent } from './fake-agent.js'
import { withServer } from './with-server.js'

const session = (client: string, sport: number, port: number, { address = '198.51.100.7', proto = 6, kind = 0, ageMs = 1000 } = {}): Uint8Array =>
  wireRecord({ key: { src: client, dst: '192.0.2.80', sport, dport: 443, proto }, reply: { src: '192.0.2.80', dst: address, sport: 443, dport: port, proto }, flags: limits.LS_SF_SNAT, kind, ageMs })

t.test('open ones first, then those that ended; not those that only speak to the address', async (t) => {
  const table = new (loadCore().Table)({ capacity: 4096, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  t.teardown(() => { table.close() })
  const memory = natHistoryMemory(16, 0)
  const now = 1_000_000
  const records = concat([
    session('10.0.0.1', 5000, 40_000), session('10.0.0.2', 5000, 40_001), session('10.0.0.3', 5000, 40_000, { proto: 17 }), session('10.0.0.4', 5000, 40_000, { address: '198.51.100.8' }),
    session('198.51.100.7', 40_000, 41_000, { address: '198.51.100.9' })
  ])
  table.install(records, RECORD, null, false)
  const kind = limits.LS_NOTICE_DELETE
  new NatHistoryWriter(memory).note(concat([session('10.0.0.9', 7000, 40_000, { kind, ageMs: 5000 })]), 1, 3, now - 60_000)
  const services: AgentServices = { ...createFakeAgent(0).services, endedTranslations: query => endedTranslations(memory, query), dataplane: () => ({ sessions: createSessionStore(table, () => 0) }) as never }
  const who = async (over: Partial<TelemetryNatWhoRequest>): Promise<TelemetryNatWhoResponse> =>
    await natWho(services, { address: '198.51.100.7', port: 40_000, protocol: '', limit: 0, ...over }, new TableTurns(), new AbortController().signal, () => now)
  const clients = async (over: Partial<TelemetryNatWhoRequest>): Promise<string[]> => (await who(over)).translations.map(({ client }) => client)
  t.same((await clients({})).sort(), ['10.0.0.1', '10.0.0.3', '10.0.0.9'])
  t.equal((await clients({}))[2], '10.0.0.9', 'what ended comes last')
  t.same(await clients({ protocol: 'tcp' }), ['10.0.0.1', '10.0.0.9'])
  t.same((await clients({ port: 0, protocol: 'tcp' })).sort(), ['10.0.0.1', '10.0.0.2', '10.0.0.9'])
  t.same(await clients({ address: '198.51.100.8' }), ['10.0.0.4'])
  t.same(await clients({ atMs: BigInt(now - 62_000) }), ['10.0.0.9'], 'then')
  t.same(await clients({ atMs: BigInt(now - 30_000) }), [], 'nobody between them')
  t.match((await who({ limit: 1 })), { truncated: true, lost: 3n, completeSinceMs: 0n })
  const [ended] = (await who({ atMs: BigInt(now - 61_000) })).translations
  t.match(ended, { clientPort: 7000, address: '198.51.100.7', port: 40_000, destination: '192.0.2.80', destinationPort: 443, fromMs: BigInt(now - 65_000), untilMs: BigInt(now - 60_000) })
})

t.test('what is asked for wrongly is told', async (t) => {
  const { connection: { telemetry } } = await withServer(t, 10)
  const ask = { address: '198.51.100.7', port: 0, protocol: '', limit: 0 }
  t.match(await call(telemetry, telemetry.natWho, ask), { translations: [], completeSinceMs: undefined, truncated: false })
  await t.rejects(call(telemetry, telemetry.natWho, { ...ask, address: 'nat' }), { code: 'LS_R_ADDRESS' })
  await t.rejects(call(telemetry, telemetry.natWho, { ...ask, port: 70_000 }), { code: 'LS_R_PORT' })
  await t.rejects(call(telemetry, telemetry.natWho, { ...ask, limit: 10_001 }), { code: 'LS_R_LIMIT' })
})
