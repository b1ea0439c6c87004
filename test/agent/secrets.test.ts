/** What a configuration has of secrets is in nothing that a viewer may read, and in no log: every method that takes an empty question, every debug table, every route. */
import t from 'tap'
import { credentials, makeGenericClientConstructor, type ServiceDefinition } from '@grpc/grpc-js'
import { methods } from '../../src/contract/access.js'
import { AgentService } from '../../src/generated/proto/lockstep/v1/agent.js'
import { BgpService } from '../../src/generated/proto/lockstep/v1/bgp.js'
import { ClusterService } from '../../src/generated/proto/lockstep/v1/cluster.js'
import { ConfigService, type ConfigCompareResponse } from '../../src/generated/proto/lockstep/v1/config.js'
import { DebugClient, type DebugGetTableResponse, type DebugListTablesResponse } from '../../src/generated/proto/lockstep/v1/debug.js'
import { EventsService } from '../../src/generated/proto/lockstep/v1/events.js'
import { LinksService } from '../../src/generated/proto/lockstep/v1/links.js'
import { LoadBalancerService } from '../../src/generated/proto/lockstep/v1/load_balancer.js'
import { ObjectKind, ObjectsService } from '../../src/generated/proto/lockstep/v1/objects.js'
import { TelemetryService } from '../../src/generated/proto/lockstep/v1/telemetry.js'
import { apply, ask, place, sources, startAgent, unlessSlow } from './agent-process.js'
import { until } from '../until.js'

const TOKEN = 'tell-nobody'
const text = (n: number, over = ''): string => `${sources('one')}
healthchecks:
  web: {type: http, interval: 1s, timeout: 500ms, agent: {port: 9, send: "${TOKEN}-send-${n}"}, http: {path: "/x?key=${TOKEN}-query-${n}", body: "${TOKEN}-body", headers: {Authorization: "Bearer ${TOKEN}-header-${n}"}}}
  run: {type: exec, interval: 1s, timeout: 500ms, exec: ["/bin/sh", "-c", "exit 1 # ${TOKEN}-argument-${n}"]}
vips:
  www: {address: 10.0.9.1, port: 80, healthcheck: web, pools: [{name: main, reals: [{name: one, address: 10.0.1.2}]}]}
  sql: {address: 10.0.9.2, port: 80, healthcheck: run, pools: [{name: main, reals: [{name: one, address: 10.0.1.2}]}]}
bgp:
  sources: {kernel: {type: kernel}}
  report: {sinks: {hook: {type: webhook, url: "https://127.0.0.1:12345/${TOKEN}-url-${n}?a=${TOKEN}-query-${n}"${over}}}}
`

const services = [AgentService, BgpService, ClusterService, ConfigService, EventsService, LinksService, LoadBalancerService, ObjectsService, TelemetryService] as unknown as ReadonlyArray<Record<string, ServiceDefinition[string]>>

const json = (value: unknown): string => JSON.stringify(value, (_, v: unknown) => typeof v === 'bigint' ? String(v) : v)

/** Of a stream what comes at first. */
async function answerTo (address: string, definition: ServiceDefinition[string], request: Buffer): Promise<Buffer> {
  const client = new (makeGenericClientConstructor({}, 'any'))(address, credentials.createInsecure())
  const same = (value: Buffer): Buffer => value
  try {
    return await new Promise((resolve) => {
      if (!definition.responseStream) return client.makeUnaryRequest(definition.path, same, same, request, (error, value) => { resolve(Buffer.concat([value ?? Buffer.alloc(0), Buffer.from(error?.message ?? '')])) })
      const parts: Buffer[] = []
      const call = client.makeServerStreamRequest<Buffer, Buffer>(definition.path, same, same, request)
      const end = (): void => { call.cancel(); resolve(Buffer.concat(parts)) }
      const quiet = setTimeout(end, 500)
      call.on('data', (part: Buffer) => { parts.push(part); quiet.refresh() }).on('error', end).on('end', end)
    })
  } finally { client.close() }
}

t.test('what is secret in a configuration', async (t) => {
  const p = place(t)
  p.write(text(1))
  const { calls, stderr } = await startAgent(t, p)
  const address = `unix:${p.socket}`
  const debug = new DebugClient(address, credentials.createInsecure())
  t.teardown(() => { debug.close() })
  const rows = async (table: string): Promise<string> => json(await unlessSlow(async () => await ask<DebugGetTableResponse>(done => debug.getTable({ query: { table, filters: [], sort: '', offset: 0, limit: 500, key: '', refers: undefined } }, done))))
  await until('the checks to fail', async () => (await rows('targets')).split('"down"').length > 2)
  await ask(done => calls.config.apply(apply(text(2)), done))
  const compared = await ask<ConfigCompareResponse>(done => calls.config.compare({ fromGeneration: 1n, toGeneration: 2n }, done))
  t.match(json(compared), /headers\.Authorization changed/)
  const bad = [text(3, ', port: 7'), text(3).replaceAll('https:', 'ftp:'), text(3).replace('Authorization: "', 'Authorization: "\\n'), text(3).replace('exec: ["/bin/sh"', 'exec: ["sh"'), text(3).replace('http: {path', 'http: [{path'), text(3).replace('send:', 'send: -'), text(3).replace('"/x?', '"x?')]
  for (const one of bad) await t.rejects(ask(done => calls.config.apply(apply(one), done)), /LS_C_/, one.split('\n').find((line, i) => line !== text(3).split('\n')[i]) ?? '')
  const seen = new Map<string, string>([['log', stderr()], ['compare', json(compared)]])
  for (const definition of services.flatMap(service => Object.values(service))) {
    if (!methods.viewer.includes(definition.path)) continue
    const requests = definition.path.endsWith('Objects/Watch') ? Object.values(ObjectKind).filter(kind => typeof kind === 'number').map(kind => Buffer.from([8, kind])) : [Buffer.alloc(0)]
    for (const [i, request] of requests.entries()) seen.set(`${definition.path} ${i}`, (await answerTo(address, definition, request)).toString('latin1'))
  }
  const { tables } = await ask<DebugListTablesResponse>(done => debug.listTables({}, done))
  for (const { name, access } of tables) if (access === 'viewer') seen.set(`table ${name}`, await rows(name))
  t.ok(seen.size > 50, `${seen.size} answers`)
  t.ok((seen.get('table checks') ?? '').includes('web'), 'the checks are there')
  t.ok((seen.get('table bgp-sinks') ?? '').includes('hook'), 'the sink is there')
  for (const [what, said] of seen) t.notOk(said.includes(TOKEN), `${what}: ${said.slice(Math.max(0, said.indexOf(TOKEN) - 200), said.indexOf(TOKEN) + 100)}`)
})
