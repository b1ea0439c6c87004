/** The whole of it as the agent starts it: sinks from the configuration, looks by themselves, an end. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Reporter } from '../../../../src/bgp/reporting/index.js'
import type { BgpState } from '../../../../src/contract/bgp.js'
import { KeptLog, MovedClock, look, neighbour, until } from './world.js'

t.test('sessions go to a file; a restart tells nothing anew; a neighbour that is gone is told as down, once', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'bgpx-'))
  const path = join(directory, 'out.jsonl')
  let sessions: ReadonlyArray<readonly [string, BgpState]> = [['192.0.2.1', 'up'], ['192.0.2.2', 'down']]
  const settings = { intervalMs: 1000, graceMs: 0, debounceMs: 0, refreshMs: 1e9, refreshJitter: 0, spacingMs: 0, sinks: [{ type: 'file', name: 'log', path }] } as const
  const made = async (): Promise<Reporter> => {
    const reporter = new Reporter({ settings, node: 'n1', directory, log: new KeptLog(), look: () => look(sessions.map(([peer, state]) => neighbour(peer, state))) })
    await reporter.start()
    return reporter
  }
  const lines = (): string[] => readFileSync(path, 'utf8').trim().split('\n').map(line => JSON.parse(line) as { peer: string, state: string }).map(({ peer, state }) => `${peer} ${state}`)
  const first = await made()
  await until(() => first.tallies()[0]?.reports.down.landed === 1, 'told')
  t.same(lines(), ['192.0.2.1 up', '192.0.2.2 down'])
  await first.stop()
  t.equal(first.tallies()[0]?.stage, 'stopped')
  sessions = [['192.0.2.2', 'down']]
  const second = await made()
  await until(() => second.tallies()[0]?.reports.down.landed === 1, 'the gone one is told')
  await second.tick()
  t.same([lines(), second.pending()], [['192.0.2.1 up', '192.0.2.2 down', '192.0.2.1 down'], []])
  await second.stop()
  rmSync(directory, { recursive: true })
})

t.test('a request is stamped by the clock of the host, which its receiver has, too', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'bgpx-'))
  const stamps: string[] = []
  const server = createServer((request, response) => {
    stamps.push(String(request.headers['lockstep-timestamp']))
    request.resume().on('end', () => { response.end() })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const clock = new MovedClock()
  const sinks = [{ type: 'webhook', name: 'hook', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, secretFile: null, timeoutMs: 5000, batch: 10 }] as const
  const reporter = new Reporter({ settings: { intervalMs: 1000, graceMs: 0, debounceMs: 0, refreshMs: 1e9, refreshJitter: 0, spacingMs: 0, sinks }, node: 'n1', directory, log: new KeptLog(), look: () => look([neighbour('192.0.2.1', 'up')]), clock })
  t.teardown(async () => {
    await reporter.stop()
    server.closeAllConnections()
    await new Promise<void>(resolve => server.close(() => { resolve() }))
    rmSync(directory, { recursive: true })
  })
  await reporter.start()
  await until(() => reporter.tallies()[0]?.stage === 'ready', 'ready')
  clock.ahead = 1e9
  await reporter.tick()
  await until(() => stamps.length === 1, 'told')
  t.same(stamps, [String(Math.floor(clock.wall() / 1000))])
})
