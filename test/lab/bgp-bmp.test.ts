/** A real bgpd tells a listener over BMP: sessions that come and go, a connection that is cut, another pace. No session is down that is not, and none ended that did not. */
import t from 'tap'
import { existsSync, readdirSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { join } from 'node:path'
import { bmpProvider } from '../../src/bgp/providers/bmp.js'
import { BgpRunner } from '../../src/bgp/runner.js'
import type { BgpSettings } from '../../src/contract/bgp.js'
import { BgpRig, bgpSkip } from './bgp-rig.js'
import { until } from '../until.js'

const MAX_AGE_MS = 1500
const PORT = 11019
const hasModule = ['/usr/lib', ...existsSync('/usr/lib') ? readdirSync('/usr/lib').filter(name => name.includes('linux')).map(name => join('/usr/lib', name)) : []].some(folder => existsSync(join(folder, 'frr/modules/bgpd_bmp.so')))
const skip = await bgpSkip() || (hasModule ? false : 'needs the module bmp of bgpd (frr)')
/** Hosts have no way to this one but files. */
const relay = (path: string): string => `require('net').createServer((one) => { const other = require('net').connect(${JSON.stringify(path)}); for (const [a, b] of [[one, other], [other, one]]) a.on('error', () => {}).on('close', () => b.destroy()).pipe(b) }).listen(${PORT}, '127.0.0.1', () => console.log('ready'))`

t.test('FRR over BMP', { skip }, async (all) => {
  const rig = await BgpRig.open(all, [], null, ['bmp'])
  await rig.allUp()
  let port = 0
  const told: string[] = []
  const runner = new BgpRunner({
    onEvent: ({ name, object }) => { told.push(`${name} ${object}`.trim()) },
    provider: source => bmpProvider({ name: source.name, listen: '127.0.0.1:0', vrf: source.vrf, onListening: (p) => { port = p } })
  })
  all.teardown(() => { runner.close() })
  const settings = (intervalMs: number): BgpSettings => ({ intervalMs, timeoutMs: 500, maxAgeMs: MAX_AGE_MS, report: null, announce: null, sources: [{ name: 'm', type: 'bmp', vrf: 'a', listen: '127.0.0.1:0' }] })
  runner.configure(settings(200))
  await until('it listens', () => port !== 0)
  const path = join(rig.directory, 'bmp')
  const server = createServer((one) => {
    const other = createConnection({ port, host: '127.0.0.1' })
    for (const [a, b] of [[one, other], [other, one]] as const) a.on('error', () => undefined).on('close', () => { b.destroy() }).pipe(b)
  })
  await new Promise<void>((resolve) => { server.listen(path, resolve) })
  all.teardown(() => { server.close() })
  const states = (): Record<string, unknown> => Object.fromEntries(runner.view.neighbours().map(({ vrf, peer, state, flaps }) => [`${vrf}/${peer}`, `${state} ${flaps}`]))
  const become = async (wanted: Record<string, string>): Promise<void> => { await until(`${JSON.stringify(wanted)}; it is ${JSON.stringify(states())}`, () => Object.entries(wanted).every(([key, word]) => states()[key] === word)) }
  let wire = rig.beside(all, 'a', process.execPath, '-e', relay(path))
  await wire.says('ready')
  await rig.vtysh('configure terminal', 'router bgp 65001', 'bmp targets lockstep', `bmp connect 127.0.0.1 port ${PORT} min-retry 100 max-retry 500`)

  await all.test('it tells of all that are up', async () => { await become({ 'a/169.254.0.1': 'up 0', 'a/169.254.0.3': 'up 0' }) })
  await all.test('a peer is killed, and comes again: one flap', async () => {
    await rig.kill('c')
    await become({ 'a/169.254.0.1': 'up 0', 'a/169.254.0.3': 'down 1' })
    await rig.start('c')
    await become({ 'a/169.254.0.1': 'up 0', 'a/169.254.0.3': 'up 1' })
  })
  await all.test('the connection is cut: unknown and not down; when it is back nothing has happened', async (t) => {
    const from = told.length
    await wire.stop('SIGKILL')
    await become({ 'a/169.254.0.1': 'unknown 0', 'a/169.254.0.3': 'unknown 1' })
    wire = rig.beside(all, 'a', process.execPath, '-e', relay(path))
    await become({ 'a/169.254.0.1': 'up 0', 'a/169.254.0.3': 'up 1' })
    t.same(told.slice(from).filter(name => /down|flap/.test(name)), [])
  })
  await all.test('a session is reset: a flap', async () => {
    await rig.vtysh('clear bgp 169.254.0.3')
    await become({ 'a/169.254.0.1': 'up 0', 'a/169.254.0.3': 'up 2' })
  })
  await all.test('what ended while nobody was connected is a flap', async () => {
    await wire.stop('SIGKILL')
    await become({ 'a/169.254.0.1': 'unknown 0', 'a/169.254.0.3': 'unknown 2' })
    await rig.vtysh('clear ip bgp 169.254.0.1')
    await until('it ended, and is up again', () => rig.flaps['a/169.254.0.1'] === 1 && rig.states['a/169.254.0.1'] === 'up')
    wire = rig.beside(all, 'a', process.execPath, '-e', relay(path))
    await become({ 'a/169.254.0.1': 'up 1', 'a/169.254.0.3': 'up 2' })
  })
  await all.test('another pace: the connection goes on, and its end is heard', async () => {
    runner.configure(settings(300))
    await become({ 'a/169.254.0.1': 'up 1', 'a/169.254.0.3': 'up 2' })
    await wire.stop('SIGKILL')
    await become({ 'a/169.254.0.1': 'unknown 1', 'a/169.254.0.3': 'unknown 2' })
  })
})
