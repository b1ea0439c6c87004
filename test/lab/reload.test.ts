/** An apply opens no hole: traffic goes on without a loss, sessions stay what they are, unless the configuration asks to look again. */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { quickstartConfig, type Change } from './config.js'
import { ports } from './servers.js'
import { agentSaid, openLab, skipReason } from './support.js'
import { addresses } from './topology.js'
import { curl, echo, echoing, httpUrl } from './traffic.js'
import { until } from '../until.js'

const APPLIES = 8

t.test('a reload under traffic', { skip: await skipReason('curl') }, async (t) => {
  const lab = await openLab(t, 'reload')
  const client = lab.netns('client')
  const config = (...changes: readonly Change[]): string => quickstartConfig(lab.prefix, changes)
  const agent = await lab.startAgent(config())

  await t.test('no hole: nothing is lost and every session stays', async (t) => {
    const job = { port: ports.echo, intervalMs: 2, count: 100_000, patienceMs: 5000 }
    const flows = [
      echoing(client, { ...job, kind: 'udp', host: addresses.s1.v4 }), echoing(client, { ...job, kind: 'udp', host: addresses.s2.v6 }),
      echoing(client, { ...job, kind: 'tcp', host: addresses.s1.v4 }), echoing(client, { ...job, kind: 'tcp', host: addresses.s2.v6 })
    ]
    const stop = new AbortController()
    let downloads = 0
    const failures: string[] = []
    const loop = (async () => {
      while (!stop.signal.aborted) {
        for (const url of [httpUrl(addresses.vip.v4, '1m.bin'), httpUrl(addresses.s1.v4, '1m.bin', ports.httpAlt)]) {
          const f = await curl({ netns: client, url, count: 4, parallel: 4, sha256: lab.servers.bigSha256 })
          downloads += f.ok
          failures.push(...Object.keys(f.failures))
        }
      }
    })()
    await sleep(600)
    const ids = async (): Promise<string[]> => (await agent.sessions('--port', String(ports.echo))).map((s) => s.id).sort()
    const before = await ids()
    t.equal(before.length, 4)
    const drops = (await agent.counters('drops'))['drops'] ?? {}
    const took: number[] = []
    for (let i = 0; i < APPLIES; i++) {
      // Each is a different generation: weights, a policy more or less, another pool.
      const r = await agent.apply(config(
        [['vips', 'web4', 'pools', 0, 'reals', 1, 'weight'], 50 + i],
        [['policies', 2, 'enabled'], i % 2 === 0],
        [['nat', 'pools', 'spare'], i % 2 === 0 ? { addresses: '10.77.2.110-10.77.2.112' } : undefined]
      ))
      took.push(r.totalMs)
      await sleep(100)
    }
    t.comment(`applies took ${took.map((ms) => ms.toFixed(0)).join(', ')} ms`)
    t.same(await ids(), before, 'the same four sessions')
    stop.abort()
    await loop
    t.same(failures, [], `${downloads} downloads meanwhile`)
    t.ok(downloads > 0)
    for (const f of flows) f.process.child.kill('SIGUSR1')
    for (const [i, flow] of flows.entries()) {
      const f = await flow.figures
      t.comment(`flow ${i}: ${f.received} of ${f.sent}, longest gap ${f.longestGapMs.toFixed(0)} ms, p99 ${f.rttMs.p99} ms`)
      t.same([f.error, f.received], [null, f.sent], `flow ${i}`)
    }
    t.same((await agent.counters('drops'))['drops'] ?? {}, drops, 'no packet was dropped')
  })

  await t.test('sessions outlive the policy that permitted them, new ones do not open', async (t) => {
    const flow = echoing(client, { kind: 'tcp', host: addresses.s1.v4, port: ports.echo, intervalMs: 10, count: 100_000 })
    await sleep(400)
    await agent.apply(config([['policies', 1, 'action'], 'deny'], [['reload'], { 'policy-rematch': false }]))
    await sleep(300)
    t.ok(flow.process.running, flow.process.output)
    const open = async (): Promise<number> => await agent.count('--port', String(ports.echo), '--phase', 'TCP_ESTABLISHED')
    t.equal(await open(), 1)
    t.equal((await echo(client, { kind: 'udp', host: addresses.s1.v4, port: ports.echo, count: 3, patienceMs: 500 })).received, 0)

    // The option: look every session up again.
    await agent.apply(config([['policies', 1, 'action'], 'deny'], [['reload'], { 'policy-rematch': true }]))
    await until('policy-rematch to close it', async () => await open() === 0)
    flow.process.child.kill('SIGUSR1')
    const f = await flow.figures
    t.ok(f.received < f.sent, `${f.received} of ${f.sent} were answered`)
  })

  await t.test('a configuration with an error changes nothing', async (t) => {
    const before = await agent.status()
    const r = await agent.cli(['apply', '-'], { input: config([['policies', 0, 'from'], 'nowhere']) })
    t.equal(r.code, 1)
    t.match(r.stderr, /policies\/0\/from/)
    t.equal((await agent.status()).config.running?.generation, before.config.running?.generation)
  })

  const v = await agent.verify()
  t.match(v, { ok: true, faults: [] })
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})
