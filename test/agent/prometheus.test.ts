/** A real Prometheus scrapes a real agent through its gateway: what it has then, and that rules and dashboard of examples/ work on it. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import { hasPrometheus } from '../unit/telemetry/promtool.js'
import { dashboardQueries, rules, rulesFile } from '../unit/telemetry/queries.js'
import { place, plain, root, sources, startAgent, type Place } from './agent-process.js'
import { until } from '../until.js'

interface Child { readonly output: () => string, readonly stop: () => Promise<void> }

function start (t: Test, command: readonly string[]): Child {
  const [program = '', ...args] = [...plain, ...command]
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part: string) => { text += part })
  const ended = new Promise<void>((resolve) => { child.on('close', () => { resolve() }) })
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await ended
  }
  t.teardown(stop)
  return { output: () => text, stop }
}

async function freePort (): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => { server.close(resolve) })
  return port
}

async function startGateway (t: Test, p: Place): Promise<{ readonly address: string } & Child> {
  const gateway = start(t, [process.execPath, join(root, 'dist/src/cli/main.js'), 'gateway', '--socket', p.socket, '--http', '127.0.0.1:0', '--grpc', 'off'])
  const found = (): string | undefined => /metrics http:\/\/(\S+)\/metrics/.exec(gateway.output())?.[1]
  await until('the gateway to listen', () => found() !== undefined)
  return { ...gateway, address: found() ?? '' }
}

interface Answer { readonly status: string, readonly error?: string, readonly data: { readonly result: ReadonlyArray<{ readonly metric: Readonly<Record<string, string>>, readonly value: readonly [number, string] }>, readonly groups: ReadonlyArray<{ readonly rules: ReadonlyArray<{ readonly name: string, readonly health: string, readonly state: string, readonly lastError?: string }> }> } }

/** Scrapes `address` once a second. */
async function startPrometheus (t: Test, address: string): Promise<{ readonly ask: (path: string) => Promise<Answer>, readonly value: (query: string) => Promise<number | null> }> {
  const directory = mkdtempSync(join(tmpdir(), 'ls-prometheus-'))
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
  const example = parse(readFileSync(join(root, 'examples/prometheus/prometheus.yaml'), 'utf8')) as { global: object, scrape_configs: Array<{ static_configs: Array<{ targets: string[] }> }> }
  writeFileSync(join(directory, 'prometheus.yaml'), stringify({
    ...example, global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' }, rule_files: [rulesFile],
    scrape_configs: example.scrape_configs.map(job => ({ ...job, static_configs: job.static_configs.map(of => ({ ...of, targets: [address] })) }))
  }))
  const port = await freePort()
  const prometheus = start(t, ['prometheus', `--config.file=${join(directory, 'prometheus.yaml')}`, `--storage.tsdb.path=${join(directory, 'data')}`, `--web.listen-address=127.0.0.1:${port}`])
  const base = `http://127.0.0.1:${port}`
  await until('Prometheus to be ready', async () => {
    if (/level=error/.test(prometheus.output())) throw new Error(prometheus.output())
    return await fetch(`${base}/-/ready`).then(({ ok }) => ok, () => false)
  })
  const ask = async (path: string): Promise<Answer> => await (await fetch(`${base}/api/v1/${path}`)).json() as Answer
  const value = async (query: string): Promise<number | null> => {
    const { data: { result: [first] } } = await ask(`query?query=${encodeURIComponent(query)}`)
    return first === undefined ? null : Number(first.value[1])
  }
  return { ask, value }
}

t.test('Prometheus has what the agent knows', { skip: hasPrometheus() ?? false }, async (t) => {
  const p = place(t)
  p.write(sources())
  const agent = await startAgent(t, p)
  const gateway = await startGateway(t, p)
  const { ask, value } = await startPrometheus(t, gateway.address)
  await until('a scrape', async () => await value('up{job="lockstep"}') === 1)
  await until('sessions', async () => (await value('lockstep_policy_packets_total{policy="one"}') ?? 0) > 0 && (await value('sum(lockstep_phase_sessions)') ?? 0) > 0)
  t.equal(await value('up{job="lockstep",pair="edge"}'), 1)
  t.equal(await value('lockstep_build_info{backend="userspace"}'), 1)
  t.equal(await value('lockstep_agent_state{state="running"}'), 1)
  t.equal(await value('lockstep_session_table_slots'), 16_384)
  t.equal(await value('lockstep_config_generation'), 1)
  t.equal(await value('lockstep_config_applies_total{source="startup"}'), 1)
  t.equal(await value('lockstep_config_apply_seconds_total{phase="total"} > bool ignoring (phase) lockstep_config_apply_seconds_total{phase="flip"}'), 1)
  t.equal(await value('lockstep_config_unconfirmed'), 0)
  t.equal(await value('sum(lockstep_events_total{area="config",name="config-applied",level="info"})'), 1)
  t.equal(await value('sum(lockstep_phase_sessions) == bool sum(lockstep_protocol_sessions)'), 1, 'one walk')
  t.equal(await value('sum(lockstep_zone_sessions{zone="clients"}) == bool sum(lockstep_phase_sessions)'), 1, 'all came from there')
  t.equal(await value('count(lockstep_thread_heap_bytes > 0)'), 3, 'main, rpc, sync')
  await until('a scrape that tells of the one before', async () => (await value('sum(lockstep_grpc_calls_total{method="lockstep.v1.Telemetry/Metrics",code="OK"})') ?? 0) > 0)
  const before = await value('lockstep_rx_packets_total') ?? 0
  t.ok(before > 0)
  await until('the next packets', async () => (await value('lockstep_rx_packets_total') ?? 0) > before)

  for (const { where, expr } of dashboardQueries()) t.match(await ask(`query?query=${encodeURIComponent(expr)}`), { status: 'success' }, where)
  const evaluated = async (): Promise<Answer['data']['groups'][number]['rules']> => (await ask('rules')).data.groups.flatMap(group => group.rules)
  await until('the rules to be evaluated', async () => (await evaluated()).every(({ health }) => health !== 'unknown'))
  t.same((await evaluated()).map(({ name, health, lastError = '' }) => `${name} ${health} ${lastError}`).sort(), rules().map(({ alert }) => `${alert} ok `).sort())
  t.same((await evaluated()).filter(({ state }) => state === 'firing').map(({ name }) => name), [], 'all is well')

  await agent.stop()
  await until('Prometheus to see that the agent is gone', async () => await value('up{job="lockstep"}') === 0)
  await until('the alert to be pending', async () => (await evaluated()).find(({ name }) => name === 'LockstepAgentDown')?.state === 'pending')
})
