/** The API from Python, by reflection alone: the tour of examples/python against a real agent. */
import t from 'tap'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { probeBackends } from '../../src/backend/registry.js'
import { isRoot, place, root, startAgent } from './agent-process.js'

const run = promisify(execFile)
const python = '/usr/bin/python3'
const missing = await run(python, ['-c', 'import grpc, google.protobuf']).then(() => false, () => `${python} has no grpc module (python3-grpcio)`)
const ebpf = probeBackends().find(({ backend }) => backend === 'ebpf')
const other = isRoot && ebpf?.available === true ? 'ebpf' : 'userspace'

t.test('lists, watches, resumes, switches the backend, is refused', { skip: missing }, async (t) => {
  const p = place(t)
  p.write(`agent: {table: {capacity: 1024}, gateway: {grpc: null, metrics: null}}

vips:
  web: {address: 192.0.2.80, port: 80, mode: nat, pools: [{reals: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2}]}]}
`)
  const agent = await startAgent(t, p)
  const { stdout } = await run(python, [join(root, 'examples/python/tour.py'), `unix:${p.socket}`, other], { timeout: 100_000, env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } })
  const lines = stdout.trim().split('\n')
  t.match(lines[0], /^services .*lockstep\.v1\.Agent .*lockstep\.v1\.Objects .*lockstep\.v1\.Sessions/)
  t.match(lines.slice(1), [
    /^agent \S+ userspace AGENT_STATE_\w+$/, 'sessions 0', /^vip web VIP_STATE_\w+ a=\d+ b=\d+$/, 'watched web by hello begin put commit', /^resumed web a=7 by resumed put commit$/,
    `switched userspace -> ${other}`, `switched ${other} -> userspace`, /^refused (INVALID_ARGUMENT|UNAVAILABLE|UNIMPLEMENTED)$/
  ])
  const { stdout: journal } = await run(process.execPath, [join(root, 'dist/src/cli/main.js'), 'events', '--json', '--for', '1s', '--socket', p.socket], { env: { ...process.env, NODE_OPTIONS: '' } })
  const events = journal.trim().split('\n').map(line => JSON.parse(line) as { event: string, area: string, object: string, fields: Record<string, unknown> })
  const names = events.map(({ event, object }) => `${event} ${object}`.trim())
  t.same(names.filter(name => /^(started|config-applied|overlay-adjust|switch_end|call)/.test(name)), [
    'config-applied generation 1', 'started', 'config-applied generation 1', 'overlay-adjust vip web', 'call LoadBalancer/AdjustReal', 'config-applied generation 1', 'call LoadBalancer/RestoreReal',
    ...other === 'userspace' ? ['call Agent/SwitchBackend', 'call Agent/SwitchBackend'] : ['switch_end backend', 'call Agent/SwitchBackend', 'switch_end backend', 'call Agent/SwitchBackend'], 'call Agent/SwitchBackend'
  ])
  t.match(events.find(({ event }) => event === 'call')?.fields, { by: 'local', result: 'OK', request: /"real":"a","weight":7/ })
  await agent.stop()
})
