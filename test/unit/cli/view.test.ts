/** Views: what changed is marked, ages count on, an agent that is away is told with how old the rest is, and the terminal is as it was afterwards. */
import { fileURLToPath } from 'node:url'
import { credentials } from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { trafficLine, type Reading } from '../../../src/cli/view/traffic.js'
import { follow, Page } from '../../../src/cli/view/view.js'
import { socketTarget } from '../../../src/cli/client.js'
import { ObjectsConnection } from '../../../src/client/index.js'
import { startRpcServer } from '../../../src/rpc/server.js'
import { withServer, type Running } from '../rpc/with-server.js'
import { noPty, onTerminal, type Pty } from './pty.js'
import { runCli } from './run-cli.js'
import { comesAbout } from '../../until.js'

const main = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))

/** The screen as a terminal shows it, from the bytes it got since the last whole drawing. */
const drawn = (text: string): string => text.slice(text.lastIndexOf('\x1b[H')).replaceAll(/\x1b\[[0-9;?]*[A-Za-z]/g, '')

/** A drawing comes through a terminal in pieces: what is awaited is seen in a whole one. */
const shows = (pty: Pty, what: RegExp): Promise<boolean> => comesAbout(() => what.test(drawn(pty.text())))

t.test('a page: marks for a moment what changed, fits, scrolls, says what is away', async (t) => {
  const { agent, socketPath, server } = await withServer(t)
  const { loadBalancer: lb } = agent
  const objects = new ObjectsConnection({ address: socketTarget(socketPath), credentials: credentials.createInsecure() })
  const parts = [follow(objects, 'vip'), follow(objects, 'target')]
  t.teardown(async () => {
    for (const { store } of parts) await store.close()
    objects.close()
  })
  const page = new Page('watch vip  edge-1', parts, true)
  t.match(page.lines(20, 100, 0)[0], /connecting/)
  await Promise.all(parts.map(async ({ store }) => { await store.waitSynced() }))
  const plain = (lines: readonly string[]): string[] => lines.map(line => line.replaceAll(/\x1b\[\d+m/g, '').trimEnd())
  const first = page.lines(20, 100, 1000)
  t.match(first[0], /live/)
  t.notMatch(first.join('\n'), '\x1b[7m', 'what is there at first is no news')
  t.equal(first.length, 20)
  t.match(plain(first).slice(2, 6), [/^VIP +ADDRESS +STATE/, /^dns/, /^web +192\.0\.2\.80\/32 tcp\/80 +up/, /^ +main +b|^ +\S+ +b/])
  const changed = { ...lb.vipList.find(vip => vip.name === 'web') }
  lb.vipList = lb.vipList.map(vip => vip.name === 'web' ? { ...vip, ...changed, state: 'panic' as const } : vip)
  t.ok(await comesAbout(() => parts[0]?.store.status().lastEventAt !== -Infinity && plain(page.lines(20, 100, 2000)).some(line => /^web .* panic/.test(line))))
  t.match(page.lines(20, 100, 4000).join('\n'), /\x1b\[7mpanic\s*\x1b\[27m/, 'one cell is marked')
  t.equal(page.lines(20, 100, 4000).join('\n').split('\x1b[7m').length, 2)
  t.notMatch(page.lines(20, 100, 5100).join('\n'), '\x1b[7m', 'for a moment')
  for (const columns of [60, 80]) for (const line of plain(page.lines(10, columns, 6000))) t.ok(line.length <= columns, `${columns}: ${line}`)
  const low = page.lines(6, 100, 7000)
  t.equal(low.length, 6)
  t.match(plain(low)[5], /^q ends, \d+ lines below$/)
  page.move('down', 6)
  t.match(plain(page.lines(6, 100, 7000)), [/^watch/, '', /^dns/, /^web/, /./, /1 lines above, \d+ lines below/])
  page.move('top', 6)
  t.match(plain(page.lines(6, 100, 7000))[2], /^VIP/)
  await server.close(0)
  t.ok(await comesAbout(() => parts.some(({ store }) => store.status().state !== 'live')))
  t.match(plain(page.lines(20, 200, 19_000))[0], /AGENT NOT REACHED, this is 12s old/)
  t.match(plain(page.lines(20, 200, 20_000)).join('\n'), /web .* panic/, 'what is known stays')
})

t.test('generations stand newest first', async (t) => {
  const { agent, socketPath } = await withServer(t)
  for (let i = 0; i < 10; i++) await agent.config.apply(`version: ${i}\n`, { author: 'anna', comment: '', source: 'grpc', confirmWithinMs: null, expectedGeneration: null, dryRun: false, requestId: '' }, new AbortController().signal)
  const objects = new ObjectsConnection({ address: socketTarget(socketPath), credentials: credentials.createInsecure() })
  const part = follow(objects, 'generation')
  t.teardown(async () => {
    await part.store.close()
    objects.close()
  })
  await part.store.waitSynced()
  t.match(new Page('', [part], false).lines(20, 100, 0).slice(3, 6), [/^ +11 /, /^ +10 /, /^ +9 /])
})

t.test('what goes through: rates between two readings of one life of the agent', async (t) => {
  const reading = (seconds: number, packets: number, startedAtMs = 1n): Reading => ({
    info: { tableLive: 1500n, tableCapacity: 65_536n, startedAtMs },
    counters: { timeNs: BigInt(seconds * 1e9), generation: 1n, blocks: [{ name: 'global', fields: ['value'], rows: [['rx_packets', packets], ['rx_bytes', 1000 * packets]].map(([name, value]) => ({ id: 0, name: String(name), text: '', values: [BigInt(value ?? 0)] })) }] }
  })
  t.equal(trafficLine(null, reading(1, 10)), '1.5k of 65.5k sessions (2.3 %)')
  t.equal(trafficLine(reading(1, 1000), reading(3, 5000)), '1.5k of 65.5k sessions (2.3 %), 0 new/s   in 2.0k packets/s 16.0Mbit/s   out 0 packets/s 0bit/s   dropped 0/s')
  t.equal(trafficLine(reading(1, 1000), reading(3, 5, 2n)), '1.5k of 65.5k sessions (2.3 %)', 'an agent that was started again counts anew')
})

t.test('without a terminal a view is refused, and says what there is instead', async (t) => {
  const { socketPath } = await withServer(t)
  for (const verb of ['watch vip --view', 'cluster watch --view', 'top']) t.match(await runCli(verb.split(' '), { env: { LOCKSTEP_SOCKET: socketPath } }), { code: 1, out: '', err: /a view needs a terminal.*watch without --view prints lines/ }, verb)
  t.match(await runCli(['watch', 'vip', '--view', '--json']), { code: 2 })
  t.match(JSON.parse((await runCli(['top', '--json'], { env: { LOCKSTEP_SOCKET: socketPath } })).out), { agent: { 'edge-1': { state: 'running' } }, vip: { web: { state: 'up' } }, peer: {}, group: {} })
})

async function viewing (t: Test, argv: readonly string[], env: Record<string, string> = {}): Promise<Running & { readonly pty: Pty }> {
  const running = await withServer(t)
  return { ...running, pty: onTerminal(t, [process.execPath, main, ...argv], { env: { LOCKSTEP_SOCKET: running.socketPath, XDG_STATE_HOME: running.directory, NODE_OPTIONS: '', ...env } }) }
}

t.test('on a terminal: redrawn in place, resized, over a restart of the agent, and ended by q', { skip: noPty }, async (t) => {
  const { pty, agent, server, socketPath } = await viewing(t, ['watch', 'vip', '--view'], { NO_COLOR: '1' })
  t.ok(await pty.sees(/\x1b\[\?1049h\x1b\[\?25l\x1b\[\?7l/), 'the alternate screen')
  t.ok(await pty.sees(/live[^]*VIP +ADDRESS/))
  t.ok(await shows(pty, /dns[^]*web +192\.0\.2\.80/), pty.text())
  agent.loadBalancer.vipList = agent.loadBalancer.vipList.filter(vip => vip.name === 'web')
  t.ok(await comesAbout(() => !drawn(pty.text()).includes('dns')))
  pty.resize(24, 50)
  t.ok(await comesAbout(() => drawn(pty.text()).includes('web') && !drawn(pty.text()).includes('ADDRESS')), 'a narrow one has fewer columns')
  await server.close(0)
  t.ok(await pty.sees(/AGENT NOT REACHED/))
  const again = await startRpcServer(agent.services, { socketPath })
  t.teardown(async () => { await again.close(0) })
  t.ok(await pty.sees(/live/))
  t.notMatch(pty.text(), /\x1b\[\d+m/, 'no colour with NO_COLOR')
  pty.type('q')
  t.equal(await pty.ended, 0)
  t.match(pty.text(), /\x1b\[\?25h\x1b\[\?1049l$/, 'the screen as it was')
})

t.test('on a terminal: Ctrl-C and SIGTERM end it, and the screen is as it was', { skip: noPty }, async (t) => {
  const ways = [(pty: Pty) => { pty.type('\x03') }, (pty: Pty) => { pty.terminate() }]
  for (const [i, argv] of [['cluster', 'watch', '--view'], ['top']].entries()) {
    const { pty } = await viewing(t, argv)
    t.ok(await pty.sees(/live/), pty.text())
    t.ok(await shows(pty, /RG +ROLE[^]*PEER +LIVENESS/), pty.text())
    if (argv[0] === 'top') t.ok(await shows(pty, /1\.0k of 1\.0M sessions/), pty.text())
    ways[i]?.(pty)
    t.equal(await pty.ended, 0)
    t.match(pty.text(), /\x1b\[\?25h\x1b\[\?1049l$/)
  }
})

t.test('on a terminal: a view inside the shell gives the line back', { skip: noPty }, async (t) => {
  const { pty } = await viewing(t, ['shell'], { NO_COLOR: '1' })
  t.ok(await pty.sees(/> /))
  pty.type('watch link --view\r')
  t.ok(await pty.sees(/live[^]*eth0/))
  pty.type('jq')
  t.ok(await pty.sees(/\x1b\[\?1049l[^]*> /))
  pty.type('sessions count\r')
  t.ok(await pty.sees(/sessions count\r+\n1000\r\n/), 'what was typed to the view is not in the line')
})
