/** Where the gateway listens: flags first, else what the agent that runs is configured to. */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { gatewayListeners } from '../../../src/cli/gateway-listeners.js'
import type { CliIo } from '../../../src/cli/io.js'
import { startRpcServer } from '../../../src/rpc/server.js'
import { createFakeAgent } from '../rpc/fake-agent.js'
import { temporaryDirectory, withServer } from '../rpc/with-server.js'
import { testIo } from './run-cli.js'
import { comesAbout } from '../../until.js'

const io = (signal: AbortSignal, errors: string[] = []): CliIo => testIo({ signal }, { out: async () => undefined, err: (text) => { errors.push(text) } })
const never = new AbortController().signal

t.test('flags win one by one; what is closed in the file is off', async t => {
  const { socketPath: socket } = await withServer(t) // gRPC on 127.0.0.1:50461, metrics closed
  t.same(await gatewayListeners(io(never), { socket }), { http: { at: 'off', named: 'agent.gateway.metrics' }, grpc: { at: '127.0.0.1:50461', named: 'agent.gateway.grpc' } })
  t.same(await gatewayListeners(io(never), { socket, http: '[::1]:1' }), { http: { at: '[::1]:1', named: '--http' }, grpc: { at: '127.0.0.1:50461', named: 'agent.gateway.grpc' } })
  t.same(await gatewayListeners(io(never), { socket, grpc: 'off' }), { http: { at: 'off', named: 'agent.gateway.metrics' }, grpc: { at: 'off', named: '--grpc' } })
  t.same(await gatewayListeners(io(never), { socket: '/nonexistent', http: 'off', grpc: '[::1]:2' }), { http: { at: 'off', named: '--http' }, grpc: { at: '[::1]:2', named: '--grpc' } }, 'both given: nobody is asked')
})

t.test('an agent that is not there, or still starting, is waited for and told of once', async t => {
  const socket = join(temporaryDirectory(t), 'agent.sock')
  const errors: string[] = []
  let state: 'starting' | 'running' = 'starting'
  let asked = 0
  const waiting = gatewayListeners(io(never, errors), { socket })
  t.ok(await comesAbout(() => errors.length === 1))
  const { services } = createFakeAgent(10)
  const server = await startRpcServer({ ...services, info: async () => { asked++; return { ...await services.info(), state } } }, { socketPath: socket })
  t.teardown(async () => { await server.close(100) })
  t.ok(await comesAbout(() => asked >= 2), 'asked again while it starts')
  state = 'running'
  t.match(await waiting, { grpc: { at: '127.0.0.1:50461' } })
  t.match(errors.join(''), /^waiting for the agent.*--http.*no agent listens here.*\n$/)
})

t.test('ended while it waits', async t => {
  const stop = new AbortController()
  const errors: string[] = []
  const waiting = gatewayListeners(io(stop.signal, errors), { socket: join(temporaryDirectory(t), 'none.sock') })
  t.ok(await comesAbout(() => errors.length === 1))
  stop.abort()
  t.equal(await waiting, null)
})

t.test('a socket of others is not waited for', { skip: process.getuid?.() === 0 ? 'root may use every socket' : false }, async t => {
  const { socketPath: socket, directory } = await withServer(t)
  chmodSync(directory, 0)
  t.teardown(() => { chmodSync(directory, 0o700) })
  await t.rejects(gatewayListeners(io(never), { socket }), { code: 'LS_U_UNREACHABLE' })
})
