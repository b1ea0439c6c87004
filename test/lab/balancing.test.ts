/**
 * A VIP with four nginx reals under downloads: each way in which a server can fail takes it out of the ring, and back when it is well. Downloads that begin
 * once it is out never fail; a restart of the agent never empties the ring.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { quickstartConfig } from './config.js'
import { createAuthority, hasOpenssl } from '../unit/gateway/certificates.js'
import { nginxConfig, nodeProgram } from './servers.js'
import { Background, must } from './shell.js'
import type { SickServerOptions } from './sick-server.js'
import { agentSaid, openLab, skipReason } from './support.js'
import type { Lab } from './lab.js'
import type { HostName } from './topology.js'
import { addresses } from './topology.js'
import { curl, httpUrl } from './traffic.js'

const INTERVAL_MS = 100
/** Fall 3: three timeouts and what lies between them, on a machine that is busy. */
const WITHIN_MS = 30_000

interface Vip { readonly name: string, readonly state: string, readonly pool?: string, readonly reals: ReadonlyArray<{ readonly name: string, readonly weight: number, readonly state: string }> }

/** Ports that examples/quickstart.yaml permits (bulk). */
const reals = [{ name: 'r1', host: 's1', port: 5101 }, { name: 'r2', host: 's1', port: 5102 }, { name: 'r3', host: 's2', port: 5103 }, { name: 'r4', host: 's2', port: 5104 }] as const
type Name = typeof reals[number]['name']

class Reals {
  private readonly running = new Map<string, Background>()
  constructor (private readonly lab: Lab) {}

  start (name: Name): void {
    const real = reals.find(r => r.name === name)
    if (real === undefined) return
    const directory = join(this.lab.topology.directory, name)
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, 'nginx.conf'), nginxConfig(name, directory, join(this.lab.topology.directory, 'files'), [real.port]))
    this.running.set(name, new Background(name, this.lab.netns(real.host as HostName), ['nginx', '-p', directory, '-e', join(directory, 'error.log'), '-c', join(directory, 'nginx.conf')]))
  }

  signal (name: Name, signal: NodeJS.Signals): void { this.running.get(name)?.child.kill(signal) }

  async close (): Promise<void> { await Promise.all([...this.running.values()].map(async (b) => { await b.stop('SIGKILL') })) }
}

/** Asks until it is so, or for WITHIN_MS; the last answer. */
async function answerOf (ask: () => Promise<string>, wanted: string): Promise<string> {
  const began = performance.now()
  let found = await ask()
  for (; performance.now() - began < WITHIN_MS && found !== wanted; found = await ask()) await sleep(20)
  return found
}

for (const backend of ['userspace', 'ebpf'] as const) {
  t.test(`four reals on ${backend}`, { skip: await skipReason('curl', 'nginx', 'nft') }, async (t) => {
    const lab = await openLab(t, `lb-${backend.slice(0, 1)}`)
    const servers = new Reals(lab)
    t.teardown(async () => { await servers.close() })
    for (const { name } of reals) servers.start(name)
    const config = quickstartConfig(lab.prefix, [
      [['agent', 'backend'], backend],
      [['healthchecks'], { web: { type: 'http', interval: `${INTERVAL_MS}ms`, timeout: `${4 * INTERVAL_MS}ms`, rise: 2, fall: 3, http: { path: '/who', status: 200, body: '^r[1-4] ' } } }],
      [['vips', 'web4', 'healthcheck'], 'web'],
      [['vips', 'web4', 'pools'], [{ reals: reals.map(({ name, host, port }) => ({ name, address: addresses[host].v4, port })) }]]
    ])
    let agent = await lab.startAgent(config)
    const vip = async (): Promise<Vip | undefined> => (await agent.json<readonly Vip[]>(['vip', 'list', 'web4']))[0]
    const serving = async (): Promise<string[]> => (await vip())?.reals.filter(r => r.weight > 0).map(r => r.name) ?? []
    const until = async (t: Test, wanted: readonly string[]): Promise<void> => { t.equal(await answerOf(async () => (await serving()).join(), wanted.join()), wanted.join()) }
    const download = async (count = 24): Promise<{ readonly failures: Readonly<Record<string, number>>, readonly servers: readonly string[] }> => {
      const f = await curl({ netns: lab.netns('client'), url: httpUrl(addresses.vip.v4, 'small.txt'), count, parallel: 4, sha256: null, timeoutS: 5 })
      return { failures: f.failures, servers: Object.keys(f.servers).sort() }
    }
    const all = reals.map(r => r.name)

    await t.test('all are up after their first probe', async (t) => {
      await until(t, all)
      t.match(await vip(), { state: 'VIP_STATE_UP' })
      t.same(await download(64), { failures: {}, servers: all })
    })

    const faults: ReadonlyArray<{ readonly name: Name, readonly what: string, readonly begin: () => Promise<void> | void, readonly end: () => Promise<void> | void, readonly code: string }> = [
      { name: 'r1', what: 'killed: it refuses', code: 'refused', begin: () => { servers.signal('r1', 'SIGKILL') }, end: () => { servers.start('r1') } },
      { name: 'r2', what: 'it hangs', code: 'timeout', begin: () => { servers.signal('r2', 'SIGSTOP') }, end: () => { servers.signal('r2', 'SIGCONT') } },
      {
        name: 'r4', what: 'a black hole', code: 'timeout',
        begin: async () => { await must({ netns: lab.netns('s2'), argv: ['nft', 'add table ip hole; add chain ip hole in { type filter hook input priority 0; }; add rule ip hole in tcp dport 5104 drop'] }) },
        end: async () => { await must({ netns: lab.netns('s2'), argv: ['nft', 'delete table ip hole'] }) }
      }
    ]
    for (const { name, what, code, begin, end } of faults) {
      await t.test(`${what}: it leaves the ring, downloads go to the others, and it comes back`, async (t) => {
        await begin()
        await until(t, all.filter(n => n !== name))
        const others = await download()
        t.same(others.failures, {})
        t.notOk(others.servers.includes(name))
        const [target] = (await agent.json<ReadonlyArray<{ readonly id: string, readonly history: ReadonlyArray<{ readonly to: string, readonly code: string }> }>>(['target', 'list'])).filter(x => x.id.endsWith(`:${reals.find(r => r.name === name)?.port ?? 0}`))
        t.match(target?.history.at(-1), { to: 'TARGET_STATE_DOWN', code })
        await end()
        await until(t, all)
      })
    }

    await t.test('paused by an operator: no new flows, and back', async (t) => {
      const id = `web/${addresses.s2.v4}:5103`
      await agent.json(['target', 'pause', id])
      await until(t, ['r1', 'r2', 'r4'])
      t.match((await vip())?.reals.find(r => r.name === 'r3'), { state: 'paused', weight: 0 })
      await agent.json(['target', 'resume', id])
      await until(t, all)
    })

    await t.test('a restart of the agent: the ring is as it was, before any probe', async (t) => {
      servers.signal('r1', 'SIGKILL')
      await until(t, ['r2', 'r3', 'r4'])
      await sleep(1500) // states are saved within a second
      agent = await lab.startAgent(config)
      t.same(await serving(), ['r2', 'r3', 'r4'])
      t.same((await download()).failures, {})
      servers.start('r1')
      await until(t, all)
    })

    await t.test('all are gone: the VIP is down and says so, and it comes back', async (t) => {
      for (const { name } of reals) servers.signal(name, 'SIGKILL')
      await until(t, [])
      t.match(await agent.json(['vip', 'list', 'web4']), [{ state: 'VIP_STATE_DOWN' }])
      for (const { name } of reals) servers.start(name)
      await until(t, all)
      t.same((await download()).failures, {})
    })

    await t.test('drained: its downloads end as they would, new flows go to the others, also after a restart; and back', async (t) => {
      const slow = curl({ netns: lab.netns('client'), url: httpUrl(addresses.vip.v4, 'slow'), count: 32, parallel: 32, sha256: lab.servers.bigSha256, timeoutS: 20 })
      await sleep(1000)
      await agent.json(['real', 'drain', 'web4/r3', '--reason', 'kernel'])
      await until(t, ['r1', 'r2', 'r4'])
      t.match((await vip())?.reals.find(r => r.name === 'r3'), { state: 'drained', weight: 0 })
      const others = await download(64)
      t.same([others.failures, others.servers], [{}, ['r1', 'r2', 'r4']])
      const begun = await slow
      t.same(begun.failures, {})
      t.ok(Object.keys(begun.servers).includes('r3'), `32 downloads found ${Object.keys(begun.servers).join(', ')}`)
      agent = await lab.startAgent(config)
      await until(t, ['r1', 'r2', 'r4'])
      t.match(await agent.json(['overlay', 'list']), { adjusted: [{ vip: 'web4', real: 'r3', drained: true, hold: { reason: 'kernel' } }] })
      await agent.json(['real', 'weight', 'web4/r3', '10', '--ttl', '5s'])
      t.match((await vip())?.reals.find(r => r.name === 'r3'), { weight: 10 })
      const r3 = async (): Promise<string> => { const { state, weight } = (await vip())?.reals.find(r => r.name === 'r3') ?? {}; return `${state ?? ''} ${weight ?? ''}` }
      t.equal(await answerOf(r3, 'serving 100'), 'serving 100', 'its time is over')
      await until(t, all)
    })

    await t.test('a VIP and reals that are put forward, reals of their owner come and go with their time', async (t) => {
      const fetched = async (): Promise<string> => Object.keys((await curl({ netns: lab.netns('client'), url: httpUrl(addresses.vip.v4, 'who', 5110), count: 16, parallel: 4, sha256: null, timeoutS: 3 })).servers).sort().join()
      await agent.json(['vip', 'put', 'extra', addresses.vip.v4, '--port', '5110', '--healthcheck', 'web', '--owner', 'ctl'])
      await agent.json(['real', 'put', 'extra', `${addresses.s1.v4}:5101`, '--owner', 'ctl'])
      await agent.json(['real', 'put', 'extra', `${addresses.s2.v4}:5104`, '--owner', 'other', '--ttl', '8s'])
      t.equal(await answerOf(fetched, 'r1,r4'), 'r1,r4')
      t.equal(await answerOf(fetched, 'r1'), 'r1', 'the time of the other is over')
      await agent.json(['vip', 'delete', 'extra', '--owner', 'ctl'])
      t.notOk((await agent.json<readonly Vip[]>(['vip', 'list'])).some(v => v.name === 'extra'))
      t.same((await download()).failures, {}, 'the others were never touched')
    })

    await t.test('a server that drips, and a certificate that expires: out of the ring, and back', { skip: hasOpenssl() ? false : 'no openssl program' }, async (t) => {
      const { issue } = createAuthority(lab.topology.directory)
      const tls = { good: issue('good', '/CN=real.example', { names: 'DNS:real.example', days: 30 }), old: issue('old', '/CN=real.example', { names: 'DNS:real.example', days: -1 }) }
      const start = async (options: SickServerOptions): Promise<Background> => {
        const server = new Background(options.name, lab.netns('s1'), nodeProgram('sick-server', options))
        await server.says('ready')
        return server
      }
      const sick = [{ vip: 'drips', port: 5111, of: 'who drips', server: await start({ name: 'drips', port: 5111 }) }, { vip: 'expires', port: 5112, of: 'whose certificate expires', server: await start({ name: 'expires', port: 5112, tls }) }]
      const well = await start({ name: 'well', port: 5113, tls })
      try {
        const check = { interval: `${INTERVAL_MS}ms`, timeout: `${4 * INTERVAL_MS}ms`, rise: 2, fall: 3 }
        const pools = (...ports: readonly number[]): object => [{ reals: ports.map(port => ({ name: String(port), address: addresses.s1.v4, port })) }]
        await agent.apply(quickstartConfig(lab.prefix, [
          [['agent', 'backend'], backend],
          [['healthchecks'], { web: { ...check, type: 'http', http: { path: '/who', status: 200 } }, tls: { ...check, type: 'tls', tls: { verify: 'expiry' } } }],
          [['vips', 'drips'], { address: addresses.vip.v4, port: 5111, healthcheck: 'web', pools: pools(5111, 5101) }],
          [['vips', 'expires'], { address: addresses.vip.v4, port: 5112, healthcheck: 'tls', pools: pools(5112, 5113) }]
        ]))
        const weights = async (name: string): Promise<string> => (await agent.json<readonly Vip[]>(['vip', 'list', name]))[0]?.reals.filter(r => r.weight > 0).map(r => r.name).join() ?? ''
        const comes = async (name: string, wanted: string): Promise<void> => { t.equal(await answerOf(async () => await weights(name), wanted), wanted, name) }
        for (const { vip, port, server, of } of sick) {
          const other = vip === 'drips' ? 5101 : 5113
          const scheme = vip === 'drips' ? 'http' : 'https'
          await comes(vip, `${port},${other}`)
          server.child.kill('SIGUSR2')
          await comes(vip, String(other))
          for (let i = 0; i < 8; i++) t.match(await must({ netns: lab.netns('client'), argv: ['curl', '-q', '-s', '-S', '-k', '-m', '3', `${scheme}://${addresses.vip.v4}:${port}/who`] }), vip === 'drips' ? /^r1 / : /^well /, of)
          server.child.kill('SIGUSR2')
          await comes(vip, `${port},${other}`)
        }
      } finally {
        for (const server of [well, ...sick.map(s => s.server)]) await server.stop('SIGKILL')
      }
    })

    await t.test('what sessions say of a server whose probes pass, and what agents say of theirs', async (t) => {
      const words = join(lab.topology.directory, 'words')
      const says = (text: string): void => { writeFileSync(words, text) }
      says('25%\n')
      const program = `const { readFileSync } = require('fs'); require('net').createServer(s => s.on('error', () => {}).end(readFileSync(${JSON.stringify(words)}))).listen(5114, () => console.log('ready'))`
      const helper = new Background('agent of r1', lab.netns('s1'), [process.execPath, '-e', program])
      try {
        await helper.says('ready')
        const pool = (...of: ReadonlyArray<readonly [HostName & keyof typeof addresses, number]>): object => [{ reals: of.map(([host, port]) => ({ name: String(port), address: addresses[host].v4, port })) }]
        await agent.apply(quickstartConfig(lab.prefix, [
          [['agent', 'backend'], backend],
          [['healthchecks'], { alive: { type: 'icmp', interval: '1s', 'down-interval': '60s', rise: 2, fall: 3, passive: 3 }, asked: { type: 'tcp', interval: `${INTERVAL_MS}ms`, agent: { port: 5114 } } }],
          [['vips', 'seen'], { address: addresses.vip.v4, port: 5115, healthcheck: 'alive', pools: pool(['s1', 5109], ['s2', 5103]) }],
          [['vips', 'asked'], { address: addresses.vip.v4, port: 5116, healthcheck: 'asked', pools: pool(['s1', 5101], ['s2', 5103]) }]
        ]))
        const weights = async (name: string): Promise<string> => (await agent.json<readonly Vip[]>(['vip', 'list', name]))[0]?.reals.map(r => `${r.name} ${r.state} ${r.weight}`).join(', ') ?? ''
        const comes = async (name: string, wanted: string): Promise<void> => { t.equal(await answerOf(async () => await weights(name), wanted), wanted, name) }
        await comes('seen', '5109 serving 100, 5103 serving 100')
        const burst = await curl({ netns: lab.netns('client'), url: httpUrl(addresses.vip.v4, 'small.txt', 5115), count: 100, parallel: 4, sha256: null, timeoutS: 5 })
        t.ok(Object.values(burst.failures).reduce((a, b) => a + b, 0) > 0, 'nobody listens there')
        await comes('seen', '5109 down 0, 5103 serving 100')
        t.match((await agent.json<ReadonlyArray<{ readonly id: string, readonly history: ReadonlyArray<{ readonly code: string }> }>>(['target', 'list'])).find(x => x.id === `alive/${addresses.s1.v4}`)?.history.at(-1), { code: 'sessions' })
        t.same((await curl({ netns: lab.netns('client'), url: httpUrl(addresses.vip.v4, 'small.txt', 5115), count: 32, parallel: 4, sha256: null, timeoutS: 5 })).failures, {})
        for (const [text, wanted] of [['25%\n', 'serving 25'], ['drain\n', 'drained 0'], ['', 'drained 0'], ['down #backup\n', 'down 0'], ['up 50%\n', 'serving 50']] as const) {
          says(text)
          await comes('asked', `5101 ${wanted}, 5103 serving 100`)
        }
      } finally {
        await helper.stop('SIGKILL')
      }
    })

    t.equal((await agent.stop()).code, 0, agentSaid(lab))
  })
}
