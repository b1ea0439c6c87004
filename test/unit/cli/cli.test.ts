/** The verbs against an agent with fabricated sessions: output for people and programs, exit codes. */
import { execFile, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { tableFromIPC } from 'apache-arrow'
import t, { type Test } from 'tap'
import { LockstepError } from '../../../src/contract/errors.js'
import { fakeId, fakeRecords } from '../rpc/fake-sessions.js'
import { temporaryDirectory, withServer, type Running } from '../rpc/with-server.js'
import { runCli, type CliResult, type CliSetup } from './run-cli.js'
import { comesAbout } from '../../until.js'

type Cli = (command: string, setup?: CliSetup) => Promise<CliResult>

async function withCli (t: Test, rows = 12): Promise<Running & { cli: Cli, json: (command: string) => Promise<unknown> }> {
  const running = await withServer(t, rows)
  const cli: Cli = async (command, setup = {}) => await runCli(command.split(' '), { ...setup, env: { LOCKSTEP_SOCKET: running.socketPath, ...setup.env } })
  const json = async (command: string): Promise<unknown> => {
    const { code, out, err } = await cli(`${command} --json`)
    t.equal(code, 0, `${command}: ${err}`)
    return JSON.parse(out)
  }
  return { ...running, cli, json }
}

const here = fileURLToPath(new URL('.', import.meta.url))
const main = join(here, '../../../src/cli/main.js')

t.test('sessions list: a table', async (t) => {
  const { cli } = await withCli(t)
  const { code, out } = await cli('sessions list --limit 4')
  t.equal(code, 0)
  t.equal(out, `\
PROTO  SOURCE              DESTINATION             TRANSLATED                 ZONES              POLICY     VIP  REAL   PHASE            SENT  RECEIVED  IDLE  EXPIRES  ID
tcp    10.0.0.0:1024       198.51.100.1:443                                   clients > servers  allow-web              TCP_ESTABLISHED     0         0  0.0s    1m00s  11223344556677880000000000000001
tcp    10.0.0.1:1025       198.51.100.1:443        to 198.51.100.1:443        clients > servers  allow-web  web  web/a  TCP_ESTABLISHED   100      1000  0.0s    1m00s  11223344556677880000000000000003
tcp    [2001:db8::2]:1026  [2001:db8:ffff::1]:443  to [2001:db8:ffff::1]:443  clients > servers  allow-web  dns  dns/a  TCP_ESTABLISHED   200      2.0K  0.0s    1m00s  11223344556677880000000000000005
udp    10.0.0.3:1027       198.51.100.1:53                                    clients > servers  allow-web              UDP_STREAM        300      2.9K  0.0s    1m00s  11223344556677880000000000000007
`)
})

t.test('sessions list: a terminal decides which columns fit, a pipe gets all', async (t) => {
  const { cli } = await withCli(t)
  for (const width of [60, 80, 100, 140]) {
    const { out } = await cli('sessions list', { width })
    for (const line of out.split('\n')) t.ok(line.length <= width, `${width}: ${line.length}`)
    t.match(out, /^PROTO +SOURCE +DESTINATION/)
  }
  t.notMatch((await cli('sessions list', { width: 100 })).out, / ID\n/)
  t.match((await cli('sessions list')).out, / ID\n/)
})

t.test('--dry-run: what would be, said to be a trial; --expect: not under another generation', async (t) => {
  const { cli, agent } = await withCli(t, 100)
  t.match(await cli('sessions delete --protocol udp --dry-run'), { code: 0, out: '0 of 25 matching sessions ended\n', err: /dry run: nothing is changed/ })
  t.equal(agent.sessions.deleted.size, 0)
  t.match(await cli('cluster hold --all --dry-run --json'), { code: 0, out: /"done"/ })
  t.same(agent.cluster.calls, [])
  t.match(await cli('cluster hold --all --expect 99'), { code: 1, err: /another generation is running.*generation 1, expected generation 99/s })
  t.match(await cli('cluster hold --all --expect 1 --request-id a'), { code: 0 })
  t.match(await cli('cluster hold --all --expect 1 --request-id a'), { code: 0 })
  t.equal(agent.cluster.calls.length, 1)
})

t.test('sessions export: a file that is whole or not there; sessions top: who moves', async (t) => {
  const { cli, json } = await withCli(t, 3000)
  const file = join(temporaryDirectory(t), 'sessions.arrows')
  t.match(await cli(`sessions export ${file} --vip web --columns src,vip`), { code: 0, out: '', err: new RegExp(`B to ${file}`) })
  const table = tableFromIPC(readFileSync(file))
  t.same([table.numRows, table.get(0)?.toJSON()], [1000, { src: '10.0.0.1', vip: 'web' }])
  t.match(await cli(`sessions export ${file} --columns colour`), { code: 1, err: /no such column/ })
  t.equal(tableFromIPC(readFileSync(file)).numRows, 1000, 'what was there stays')
  t.same(readdirSync(dirname(file)), ['sessions.arrows'])
  t.match(await cli('sessions export /nonexistent/x'), { code: 1, err: /cannot be written.*ENOENT/s })
  t.match(await cli('sessions top --window 100ms'), { code: 0, out: 'nothing moved\nall: 0 packets/s, 0bit/s\n' })
  t.match(await json('sessions top --window 100ms --by packets'), { sessions: [], packetsPerS: 0 })
})

t.test('sessions list --json: one array, every column, names for ids', async (t) => {
  const { json, cli } = await withCli(t, 3000)
  const rows = await json('sessions list') as Array<Record<string, unknown>>
  t.equal(rows.length, 3000, 'no limit of its own')
  t.match(rows[5], { id: fakeId(5), src: '2001:db8::5', sport: 1029, zone_in: 'clients', vip: 'dns', real: 'dns/a', phase: 'TCP_ESTABLISHED', bytes_reply: 5000, flags: ['DNAT', 'VIP'], app: 'any' })
  t.equal(Object.keys(rows[0] ?? {}).length, 30)
  t.same(await json('sessions list --protocol udp --limit 2 --columns src,dport'), [{ src: '10.0.0.3', dport: 53 }, { src: '10.0.0.7', dport: 53 }])
  t.same(await json('sessions list --source 192.0.2.1'), [])
  t.match(await cli('sessions list --source 192.0.2.1'), { code: 0, out: 'no session matches\n' })
  t.match(await cli('sessions list --limit 5'), { err: /the first 5 are shown/ })
  t.match(await cli('sessions list --columns sport,src --limit 2'), { out: 'SPORT  SRC\n1024   10.0.0.0\n1025   10.0.0.1\n' })
})

t.test('sessions count and filters', async (t) => {
  const { cli, json } = await withCli(t, 1000)
  t.match(await cli('sessions count'), { code: 0, out: '1000\n' })
  t.same(await json('sessions count --protocol udp --family 4'), { count: 167 })
  t.match(await cli('sessions count --phase TCP_ESTABLISHED UDP_STREAM'), { out: '1000\n' })
  t.match(await cli('sessions count --phase tcp_established,udp_stream'), { out: '1000\n' })
  t.match(await cli('sessions count --vip web --zone-in clients --dnat yes'), { out: '333\n' })
  t.match(await cli('sessions count --vip wbe'), { code: 1, err: /filter\.vip.*found wbe, expected a name of the running configuration/ })
  t.match(await cli('sessions count --source 10.0.0.0/40'), { code: 1, err: /found 10\.0\.0\.0\/40, expected an address or a prefix/ })
  t.match(await cli('sessions count --port x'), { code: 2, err: /found x, expected a whole number/ })
  t.match(await cli('sessions count --min-idle 5'), { code: 2, err: /not a duration/ })
  t.match(await cli('sessions count --snat maybe'), { code: 2 })
})

t.test('sessions get', async (t) => {
  const { cli, json } = await withCli(t)
  t.match(await cli(`sessions get ${fakeId(4)}`), { code: 0, out: /^id +1122.*\nflow +tcp 10\.0\.0\.4:1028 > 198\.51\.100\.1:443\n(.*\n)*vip +web \(real web\/a\)\n/ })
  t.match(await json(`sessions get ${fakeId(4)}`), { id: fakeId(4), bytesReply: 4000 })
  t.match(await cli(`sessions get ${fakeId(99)}`), { code: 4, err: /no such session/ })
  t.match(await cli('sessions get zz'), { code: 1, err: /32 hexadecimal digits/ })
})

t.test('sessions delete asks for --yes unless an id says which', async (t) => {
  const { cli, agent, json } = await withCli(t, 100)
  t.match(await cli('sessions delete'), { code: 2, err: /which sessions/ })
  t.match(await cli('sessions delete --protocol udp'), { code: 1, err: /this ends 25 sessions; repeat with --yes/ })
  t.equal(agent.sessions.deleted.size, 0)
  t.match(await cli('sessions delete --protocol udp --yes'), { code: 0, out: '25 of 25 matching sessions ended\n' })
  t.match(await cli(`sessions delete --id ${fakeId(4)}`), { code: 0, out: /^1 of 1/ })
  t.match(await cli(`sessions delete --id ${fakeId(4)}`), { code: 4 })
  t.match(await cli('sessions delete --all --vip web --yes'), { code: 2 })
  t.match(await cli('sessions delete --rg 0'), { code: 1, err: /this ends 74/ }, 'group 0 is a filter')
  t.same(await json('sessions delete --all --yes'), { matched: 74, deleted: 74 })
})

t.test('sessions watch: lines, JSON lines, an end', async (t) => {
  const { cli, agent } = await withCli(t, 100)
  const publish = async (lost = 0): Promise<void> => {
    await comesAbout(() => agent.watchers() > 0)
    agent.publish(fakeRecords([1, 3, 4]), lost)
  }
  const [text] = await Promise.all([cli('sessions watch --count 2 --vip web'), publish()])
  t.equal(text.code, 0)
  t.match(text.out, /^\d\d:\d\d:\d\d create +tcp +10\.0\.0\.1:1025 +> 198\.51\.100\.1:443 +TCP_ESTABLISHED web web\/a\n/)
  t.equal(text.out.trimEnd().split('\n').length, 2)
  await comesAbout(() => agent.watchers() === 0)
  const [lines] = await Promise.all([cli('sessions watch --json --count 3'), publish(4)])
  const parsed = lines.out.trimEnd().split('\n').map((l) => JSON.parse(l) as Record<string, unknown>)
  t.match(parsed[0], { lost: 4 })
  t.match(parsed[1], { kind: 'create', closeReason: 'none', session: { id: fakeId(1) } })
  t.match(await cli('sessions watch --for 50ms'), { code: 0, out: '' })
  const abort = new AbortController()
  setTimeout(() => abort.abort(), 50)
  t.match(await cli('sessions watch', { signal: abort.signal }), { code: 0 })
})

t.test('status, backend list, version', async (t) => {
  const { cli, json } = await withCli(t)
  const { out } = await cli('status')
  t.match(out, /^state +running\nagent +0\.1\.0, node edge-1, instance default, pid \d+, up \d+d\d\dh\nlabels +rack=b12\nroles +group 0 owner, group 1 standby\nbackend +userspace\nsessions +12 of 1048576 \(0\.0 %\)\nrunning +generation 1 by boot at [-0-9 :]+: first\nstartup +none/)
  t.match(await json('status'), { state: 'running', tableLive: 12, config: { running: { generation: 1, state: 'running' }, unconfirmed: null, drift: true } })
  t.equal((await cli('backend list')).out, `\
BACKEND    HERE    CAPABILITIES  REASON
userspace  active  1 of 1
ebpf       no      0 of 1        kernel 5.10 is older than 6.1
`)
  t.match((await cli('backend list --capabilities')).out, /ebpf +snat +no +not probed\n$/)
  t.match(await json('backend list'), [{ name: 'userspace', active: true }, { name: 'ebpf', available: false }])
  t.match(await json('version'), { cli: /^\d+\.\d+\.\d+/, agent: '0.1.0' })
  t.match((await cli('status', { color: true })).out, /\x1b\[32mrunning/)
  t.notMatch(out, /\x1b/)
})

t.test('apply, confirm, history, compare, rollback, save, show', async (t) => {
  const { cli, json, agent, directory } = await withCli(t)
  const good = join(directory, 'good.yaml')
  const bad = join(directory, 'bad.yaml')
  writeFileSync(good, 'version: 1\nzones: []\n')
  writeFileSync(bad, 'bad')
  t.match(await cli(`apply ${good} --comment why --author anna --confirm 5m --expect 1`), {
    code: 0,
    out: /^ +KIND +NAME +DETAIL\n\+ +zone +dmz +2 interfaces\ngeneration 2 by anna at .*: why is in force \(3 ms\)\nit rolls back at .* \(in 5m00s\) unless confirmed: npx lockstep confirm\n$/,
    err: 'warning: no policy permits anything\n'
  })
  t.match(agent.config.lastOptions, { author: 'anna', confirmWithinMs: 300_000, expectedGeneration: 1, requestId: /^[0-9a-f-]{36}$/ })
  t.match((await cli('status')).out, /unconfirmed +rolls back at/)
  t.match(await cli('confirm'), { code: 0, out: /^confirmed: generation 2/ })
  t.match(await cli('confirm'), { code: 1, err: /no generation waits/ })
  t.match(await cli(`apply ${good} --expect 1`), { code: 1, err: /another generation runs.*expected 1; compare and apply again/ })
  t.match(await cli(`apply ${bad}`), { code: 1, err: /error: .*\n {2}\/zones\/0\/name: line 3: is not a string: found 7, expected a string \[LS_C_TYPE\]\n {2}\/polices: / })
  t.match(await cli(`apply ${join(directory, 'none')}`), { code: 1, err: /cannot be read: found ENOENT/ })
  t.match(await cli('apply - --dry-run', { stdin: 'version: 1\n' }), { code: 0, out: /dry run: nothing was changed\n$/ })
  t.match(await json(`apply ${good}`), { generation: { generation: 3, state: 'running', source: 'grpc' }, dryRun: false, plan: [{ action: 'add' }] })
  t.match((await cli('history')).out, /^GENERATION +APPLIED +STATE +SOURCE +AUTHOR +HASH +COMMENT\n +3 .* running +grpc .*\n +2 .* superseded +grpc +anna +abababababab +why\n +1 /)
  t.match(await json('history --limit 1'), [{ generation: 3 }])
  t.match((await cli('compare')).out, /~ +policy +allow-web +2 -> 3\n$/)
  t.match(await json('compare 1 2'), [{ action: 'change', detail: '1 -> 2' }])
  t.match(await cli('rollback 1'), { code: 0, out: /generation 4 / })
  t.match(await cli('rollback 77'), { code: 4 })
  t.match(await cli('show startup'), { code: 4, err: /run `lockstep save`/ })
  t.match(await cli('save'), { code: 0, out: /^saved: generation 4/ })
  t.match(await cli('show'), { code: 0, out: 'version: 1\n' })
  t.match(await cli('show both'), { code: 2 })
})

t.test('check --running; check offline when the library is there', async (t) => {
  const { cli, json, directory } = await withCli(t)
  const bad = join(directory, 'bad.yaml')
  writeFileSync(bad, 'bad')
  t.match(await cli(`check ${bad} --running`), { code: 1, out: '', err: `${bad}:3:5: /zones/0/name: is not a string: found 7, expected a string [LS_C_TYPE]\n${bad}:9:1: /polices: unknown key: found polices, expected policies [LS_C_UNKNOWN_KEY]\n${bad}: 2 errors\n` })
  writeFileSync(bad, 'good')
  t.match(await json(`check ${bad} --running`), { ok: true, plan: [{ action: 'add', name: 'dmz' }] })
})

t.test('check --node shows the plan of that node; without, every node is judged', async (t) => {
  const { cli, json, directory } = await withCli(t)
  const file = join(directory, 'pair.yaml')
  writeFileSync(file, 'interfaces: {lan: {zone: z}}\nzones: {z: {}}\nnodes: {a: {interfaces: {lan: {port: eth1}}}, b: {interfaces: {lan: {port: eth2}}}}\n')
  t.match(await json(`check ${file}`), { ok: true, plan: [{ kind: 'agent' }] })
  for (const [node, port] of [['a', 'eth1'], ['b', 'eth2']] as const) t.match((await json(`check ${file} --node ${node}`) as { plan: unknown[] }).plan.at(-2), { kind: 'interface', name: 'lan', detail: `on ${port}, zone z` })
  t.match(await cli(`check ${file} --node c`), { code: 1, out: '', err: /\/nodes: no such node: found "c", expected one of a, b/ })
  t.match(await cli(`check ${file} --node a --running`), { code: 2, out: '' })
  writeFileSync(file, 'nodes: {b: {interfaces: {lan: {zone: nowhere}}}}\n')
  t.match(await cli(`check ${file}`), { code: 1, err: /\/nodes\/b\/interfaces\/lan\/zone: no such zone/ })
})

t.test('counters, flood, table verify', async (t) => {
  const { cli, json, agent } = await withCli(t)
  t.match((await cli('counters drops')).out, 'drops\nNAME         PACKETS  MEANING\npolicy_deny        5  denied by policy\n')
  t.match((await cli('counters')).out, /\nvip\nNAME +PACKETS +BYTES +NEW_SESSIONS +NO_REAL\nweb +40 +0 +0 +0\n/)
  t.match(await json('counters global'), { perSecond: false, generation: 7, blocks: [{ name: 'global', rows: [{ name: 'rx_packets', values: [1000] }] }] })
  t.match(await cli('counters nonsense'), { code: 1, err: /expected global drops/ })
  const later = { ...agent.counters, timeNs: agent.counters.timeNs + 1_000_000_000n, blocks: { global: Float64Array.of(3000) } }
  let readings = 0
  const first = agent.counters
  Object.assign(agent.services.dataplane().telemetry, { snapshot: () => (readings++ === 0 ? first : later) })
  t.match((await cli('counters global --rate 10ms')).out, /^global, a second\n.*\nrx_packets +2000 /)
  t.match((await cli('flood servers')).out, /^ZONE +SCREEN +STOPPED +RATE +SCREENS\nservers +syn_flood +0 +20 +SYN rate of the zone\n/)
  t.match(await json('flood'), [{ zone: 'clients' }, { zone: 'servers' }])
  t.match(await cli('flood dmz'), { code: 1, err: /one of clients servers/ })
  t.match(await cli('table verify'), { code: 0, out: /^table +clean\n/ })
  agent.sessions.verifyFaults = [{ name: 'orphan_entry', count: 2, first: 'bucket 7' }]
  t.match(await cli('table verify'), { code: 1, out: /^table +BROKEN\n(.*\n)*orphan_entry +2 +bucket 7\n$/ })
  const { code, out } = await cli('table verify --json')
  t.equal(code, 1)
  t.match(JSON.parse(out), { ok: false, faults: [{ name: 'orphan_entry' }] })
})

t.test('nat: pools address by address', async (t) => {
  const { cli, json, agent } = await withCli(t)
  t.equal((await cli('nat')).out, `\
POOL  ADDRESS        PORTS  SESSIONS     USED  CREATED  FAILED
out   203.0.113.1    64512     16128   25.0 %    70000       0
out   2001:db8:7::1  64512     80640  125.0 %    90000      12
`)
  t.match(await json('nat out'), [{ pool: 'out', poolId: 1, address: '203.0.113.1', ports: 64_512, sessions: 16_128, created: 70_000, failed: 0 }, { failed: 12 }])
  t.match(await cli('nat nowhere'), { code: 1, err: /no such NAT pool: found nowhere, expected one of out/ })
  for (const line of (await cli('nat', { width: 50 })).out.split('\n')) t.ok(line.length <= 50)
  agent.services.dataplane().telemetry.natUsage = async () => []
  await new Promise((resolve) => setTimeout(resolve, 1050))
  t.match(await cli('nat'), { code: 0, out: 'no NAT pool is configured\n' })
})

t.test('no agent: exit 3 and what helps', async (t) => {
  const directory = temporaryDirectory(t)
  const missing = await runCli(['sessions', 'count', '--socket', join(directory, 'none.sock')])
  t.match(missing, { code: 3, out: '', err: /no agent listens here: found ENOENT; is the agent running\? start it with `npx lockstep run CONFIG`/ })
  const { socketPath, server } = await withServer(t)
  const { renameSync } = await import('node:fs')
  renameSync(socketPath, join(directory, 'stale.sock'))
  await server.close(0)
  t.match(await runCli(['status', '--socket', join(directory, 'stale.sock')]), { code: 3, err: /has gone: found ECONNREFUSED/ })
})

t.test('other exit codes: time, permission, bug', async (t) => {
  const { cli, agent } = await withCli(t)
  agent.sessions.failure = new LockstepError('unavailable', 'LS_E_PERMISSION', 'not allowed')
  t.equal((await cli('sessions count')).code, 5)
  agent.sessions.failure = new LockstepError('exhausted', 'LS_E_FULL', 'full')
  t.equal((await cli('sessions count')).code, 1)
  agent.sessions.failure = new LockstepError('unavailable', 'LS_E_BUSY', 'busy')
  t.equal((await cli('sessions count')).code, 1, 'the agent was reached')
  agent.sessions.failure = new Error('oops')
  t.match(await cli('sessions count'), { code: 70, err: /oops/ })
})

t.test('help: every verb has examples; a wrong verb is answered with the nearest', async (t) => {
  const { out } = await runCli(['--help'])
  t.match(out, /Exit codes: 0 ok/)
  const verbs = ['run', 'quickstart', 'gateway', 'check', 'status', 'backend list', 'stop', 'version', 'apply', 'rollback', 'confirm', 'save', 'history', 'compare', 'show', 'sessions list', 'sessions count', 'sessions get', 'sessions delete', 'sessions watch', 'counters', 'flood', 'nat', 'table verify']
  for (const verb of verbs) {
    const help = await runCli([...verb.split(' '), '--help'])
    t.equal(help.code, 0, verb)
    t.match(help.out, /\nExamples:\n {2}lockstep /, verb)
  }
  t.match(await runCli(['sesions']), { code: 2, err: /Did you mean sessions/ })
  t.match(await runCli(['sessions', 'list', '--sorce', 'x']), { code: 2, err: /Did you mean --source/ })
  t.match(await runCli(['--version']), { code: 0, out: /^\d+\.\d+\.\d+/ })
})

t.test('as a program: SIGPIPE is quiet, Ctrl-C ends, stop ends the agent', async (t) => {
  const { socketPath } = await withServer(t, 200_000)
  const env = { ...process.env, LOCKSTEP_SOCKET: socketPath }
  const piped = await promisify(execFile)('/bin/sh', ['-c', `"${process.execPath}" "${main}" sessions list --limit 0 | head -n 2; exit 0`], { env })
  t.equal(piped.stdout.split('\n').length, 3)
  t.equal(piped.stderr, '')
  const watching = spawn(process.execPath, [main, 'sessions', 'watch'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  await new Promise((resolve) => watching.stderr.once('data', resolve))
  watching.kill('SIGINT')
  t.equal(await new Promise((resolve) => watching.once('exit', resolve)), 0)
})

t.test('stop waits until the agent is gone', async (t) => {
  const directory = temporaryDirectory(t)
  const socketPath = join(directory, 'agent.sock')
  const serverModule = new URL('../../../src/rpc/server.js', import.meta.url).href
  const fakeModule = new URL('../rpc/fake-agent.js', import.meta.url).href
  const script = `const { startRpcServer } = await import(${JSON.stringify(serverModule)}); const { createFakeAgent } = await import(${JSON.stringify(fakeModule)})
    const server = await startRpcServer(createFakeAgent(5).services, { socketPath: ${JSON.stringify(socketPath)} })
    process.on('SIGTERM', () => { void server.close(100).then(() => process.exit(0)) }); console.log('up')`
  const agent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => agent.kill('SIGKILL'))
  await new Promise((resolve) => agent.stdout.once('data', resolve))
  t.match(await runCli(['stop', '--socket', socketPath]), { code: 0, out: new RegExp(`^instance default \\(pid ${agent.pid ?? 0}\\) stopped, 5 sessions`) })
  t.notOk(existsSync(socketPath))
  t.match(await runCli(['stop', '--socket', socketPath]), { code: 3 })
})
