/** A real agent reads a bgpd of the test: what it says over its socket, over a daemon that hangs and ends, over changes of the configuration, and that it ends all the same. */
import { existsSync, readFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCli } from '../unit/cli/run-cli.js'
import { apply, ask, place, startAgent } from './agent-process.js'
import { until } from '../until.js'

interface Daemon { answers: 'well' | 'never', up: boolean, readonly asked: () => number, readonly stop: () => Promise<void> }

async function bgpd (t: Test, path: string): Promise<Daemon> {
  const sockets = new Set<Socket>()
  let asked = 0
  const daemon: Daemon = { answers: 'well', up: true, asked: () => asked, stop: async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => { server.close(resolve) })
  } }
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => { sockets.delete(socket) })
    socket.on('data', () => {
      asked++
      if (daemon.answers === 'never') return
      const peer = { remoteAs: 65001, localAs: 65000, peerUptimeMsec: 5000, pfxRcd: 1, state: daemon.up ? 'Established' : 'Active', peerState: 'OK', connectionsDropped: daemon.up ? 0 : 1, desc: 'user-1' }
      socket.write(Buffer.concat([Buffer.from(JSON.stringify({ default: { ipv4Unicast: { vrfName: 'default', peers: { '192.0.2.1': peer } } } })), Buffer.alloc(4)]))
    })
  })
  await new Promise<void>((resolve) => { server.listen(path, resolve) })
  t.teardown(async () => { await daemon.stop().catch(() => undefined) })
  return daemon
}

t.test('neighbours of an agent: up, down, unknown, gone with their source; a daemon that hangs keeps nobody', async (t) => {
  const p = place(t)
  const vty = join(p.directory, 'bgpd.vty')
  const daemon = await bgpd(t, vty)
  const config = (bgp: string): string => `agent: {backend: userspace}\n${bgp}`
  const section = `bgp: {interval: 200ms, timeout: 300ms, max-age: 1s, sources: {edge: {type: frr, socket: ${vty}}}}\n`
  p.write(config(section))
  const agent = await startAgent(t, p)
  const cli = async (command: string): Promise<string> => (await runCli(command.split(' '), { env: { LOCKSTEP_SOCKET: p.socket } })).out
  const state = async (): Promise<string> => (JSON.parse(await cli('bgp neighbours --json')) as Array<{ readonly state: string }>).map(n => n.state).join()
  await until('it is up', async () => await state() === 'up')
  daemon.up = false
  await until('it is down', async () => await state() === 'down')
  t.match(JSON.parse(await cli('bgp neighbours --json')), [{ peer: '192.0.2.1', flaps: 1, description: 'user-1', remoteAs: 65001 }])
  daemon.up = true
  await until('it is up again', async () => await state() === 'up')
  daemon.answers = 'never'
  await until('it is unknown', async () => await state() === 'unknown')
  t.match(await cli('bgp sources'), /edge +frr +fails[^\n]*no answer within 300 ms/)
  daemon.answers = 'well'
  await until('it is up: nothing happened to it', async () => await state() === 'up')
  t.match(await cli('metrics'), /lockstep_bgp_neighbour_flaps_total\{vrf="default",peer="192\.0\.2\.1"\} 1\n/)
  t.match(await cli('events --area bgp --for 1s'), /neighbour-down \[neighbour default\/192\.0\.2\.1\][^]*neighbour-unknown[^]*source-answers/)
  await ask(done => agent.calls.config.apply(apply(config('')), done))
  await until('without the section nothing is read', async () => await state() === '')
  await ask(done => agent.calls.config.apply(apply(config(section)), done))
  await until('and with it again', async () => await state() === 'up')
  daemon.answers = 'never'
  const asked = daemon.asked()
  await until('it waits for an answer', () => daemon.asked() > asked)
  t.match(await agent.stop(), { code: 0, signal: null })
})

t.test('what is up and what is down is told to a file, what is unknown to nobody; over a change of the configuration', async (t) => {
  const p = place(t)
  const [vty, file] = [join(p.directory, 'bgpd.vty'), join(p.directory, 'bgp.jsonl')]
  const daemon = await bgpd(t, vty)
  const config = (report: string): string => `agent: {backend: userspace}\nbgp:\n  interval: 200ms\n  timeout: 300ms\n  max-age: 1s\n  sources: {edge: {type: frr, socket: ${vty}}}\n${report}`
  const report = `  report: {interval: 1s, grace: 0s, debounce: 0s, spacing: 0s, sinks: {log: {type: file, path: ${file}}}}\n`
  p.write(config(report))
  const agent = await startAgent(t, p)
  const told = (): string[] => (existsSync(file) ? readFileSync(file, 'utf8') : '').split('\n').filter(line => line !== '').map(line => (JSON.parse(line) as { readonly state: string }).state)
  await until('it is told as up', () => told().join() === 'up')
  t.match(JSON.parse(readFileSync(file, 'utf8').split('\n')[0] ?? ''), { peer: '192.0.2.1', state: 'up' })
  daemon.answers = 'never'
  const state = async (): Promise<string> => (JSON.parse((await runCli(['bgp', 'neighbours', '--json'], { env: { LOCKSTEP_SOCKET: p.socket } })).out) as Array<{ readonly state: string }>).map(n => n.state).join()
  await until('it is unknown', async () => await state() === 'unknown')
  await new Promise(resolve => setTimeout(resolve, 1500))
  t.same(told(), ['up'], 'what nobody knows is told to nobody')
  daemon.answers = 'well'
  daemon.up = false
  await until('it is told as down', () => told().join() === 'up,down')
  await ask(done => agent.calls.config.apply(apply(config('')), done))
  daemon.up = true
  await until('it is up', async () => await state() === 'up')
  await new Promise(resolve => setTimeout(resolve, 1500))
  t.same(told(), ['up', 'down'], 'without a report nobody is told')
  await ask(done => agent.calls.config.apply(apply(config(report)), done))
  await until('with it again the file knows what it was told', () => told().join() === 'up,down,up')
  t.match(await agent.stop(), { code: 0, signal: null })
})
