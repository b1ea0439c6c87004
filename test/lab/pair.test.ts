/**
 * A pair under traffic, on both backends: sessions are on both nodes and proven equal, a planned move and the death of the owner break no download, a
 * restart of the agent moves nothing, cut paths heal, and a configuration that is applied on one node runs on both.
 */
import t, { type Test } from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LabAgent } from './agent.js'
import { ebpfSkip } from './instance.js'
import { openPairLab, type PairLab } from './pair-lab.js'
import { ANNOUNCE_TABLE, type RouterName } from './pair-topology.js'
import { ports } from './servers.js'
import { must, run } from './shell.js'
import { full, skipReason } from './support.js'
import { addresses } from './topology.js'
import { curl, echo, echoing, httpUrl } from './traffic.js'

t.setTimeout(full ? 3_600_000 : 900_000)
const other = (r: RouterName): RouterName => r === 'r1' ? 'r2' : 'r1'
const downloads = (lab: PairLab, seconds: number, parallel: number): ReturnType<typeof curl> => curl({
  netns: lab.netns('client'), url: httpUrl(addresses.s1.v4, '1m.bin'), count: parallel, parallel, sha256: lab.servers.bigSha256, rate: `${Math.ceil(1024 / seconds)}k`, timeoutS: seconds * 3 + 30
})

for (const backend of ['userspace', 'ebpf'] as const) {
  const skip = backend === 'ebpf' ? await ebpfSkip('curl') : await skipReason('curl')
  t.test(`a pair on ${backend}`, { skip }, async (t: Test) => {
    const lab = await openPairLab(t, `p${backend[0] ?? ''}`, { backend })
    const client = lab.netns('client')
    await Promise.all([lab.start('r1'), lab.start('r2')])
    await lab.settled('r1')
    t.pass('r1 owns: it has the higher priority')

    /** Who gives the VIP to a routing daemon. */
    const announced = async (): Promise<string> => {
      const at = async (r: RouterName): Promise<boolean> => (await run(['ip', 'route', 'show', 'table', String(ANNOUNCE_TABLE)], { netns: lab.netns(r) })).stdout.includes(`blackhole ${addresses.vip.v4} `)
      return (await Promise.all((['r1', 'r2'] as const).map(async r => await at(r) ? r : ''))).join('')
    }
    const announces = async (who: string): Promise<void> => { await lab.until(async () => await announced() === who ? null : `the VIP is announced by ${await announced()}`, 60_000) }
    await announces('r1')

    await t.test('a session is on both nodes, under one id', async (t) => {
      const flow = await echo(client, { kind: 'tcp', host: addresses.s1.v4, port: ports.echo, count: 50, intervalMs: 10 })
      t.same([flow.error, flow.received], [null, 50])
      await lab.until(async () => {
        const [mine, theirs] = await Promise.all([lab.agent('r1').sessions(), lab.agent('r2').sessions()])
        const ids = (rows: typeof mine): string => rows.map((s) => s.id).sort().join()
        return mine.length > 0 && ids(mine) === ids(theirs) ? null : `${mine.length} and ${theirs.length} sessions`
      }, 60_000)
      t.match(await lab.agent('r2').json(['cluster', 'verify', '--all']), [{ rg: 0, equal: true, differences: 0 }])
      t.match(await lab.agent('r2').json(['cluster', 'resync', '--all']), [{ rg: 0, equal: true }], 'the whole group once more')
    })

    await t.test('what reaches the standby crosses the fabric to the owner', async (t) => {
      const gateways = [addresses.routerClient.v4, addresses.routerClient.v6]
      const address = await lab.mac('r2', 'wan')
      for (const gateway of gateways) await must({ netns: client, argv: ['ip', 'neigh', 'replace', gateway, 'lladdr', address, 'dev', 'eth0', 'nud', 'permanent'] })
      for (const to of [addresses.s1.v4, addresses.s1.v6]) {
        const flow = await echo(client, { kind: 'tcp', host: to, port: ports.echo, count: 50, intervalMs: 10 })
        t.same([flow.error, flow.received], [null, 50], to)
      }
      for (const gateway of gateways) await must({ netns: client, argv: ['ip', 'neigh', 'del', gateway, 'dev', 'eth0'] })
      t.equal((await lab.group('r1')).role, 'owner')
    })

    await t.test('sync never and sync after: sessions that the standby has not, and gets when they are old enough; a move leaves no difference', async (t) => {
      const of = async (r: RouterName, policy: string): Promise<number> => (await lab.agent(r).sessions()).filter((s) => s.policy === policy).length
      const guests = await echo(client, { kind: 'udp', host: addresses.s2.v4, port: ports.echo, count: 20, intervalMs: 10 })
      const flow = echoing(client, { kind: 'tcp', host: addresses.s2.v4, port: ports.echo, count: 1500, intervalMs: 10 })
      await lab.until(async () => await of('r2', 'patient') === 1 ? null : `${await of('r2', 'patient')} of ${await of('r1', 'patient')} patient ones`, 30_000)
      t.same([guests.received, await of('r1', 'guests'), await of('r2', 'guests')], [20, 1, 0])
      t.match(await lab.agent('r2').json(['cluster', 'verify', '--all']), [{ rg: 0, equal: true, differences: 0 }])
      t.equal((await lab.agent('r1').cli(['cluster', 'switchover', '--to', 'r2', '--all'])).code, 0)
      t.match(await lab.agent('r1').json(['cluster', 'verify', '--all']), [{ rg: 0, equal: true, differences: 0 }])
      t.equal(await of('r2', 'guests'), 0, 'the new owner has none')
      const figures = await flow.figures
      t.same([figures.error, figures.received], [null, 1500], 'the patient one goes on')
      await lab.until(async () => (await lab.group('r1')).ready ? null : (await lab.group('r1')).reasons.join(), 30_000)
      t.equal((await lab.agent('r2').cli(['cluster', 'switchover', '--to', 'r1', '--all'])).code, 0)
      await lab.settled('r1', 30_000)
    })

    await t.test('planned moves under downloads break nothing', async (t) => {
      const running = downloads(lab, 8, 16)
      const flow = echoing(client, { kind: 'udp', host: addresses.s1.v4, port: ports.echo, count: 800, intervalMs: 10 })
      let owner: RouterName = 'r1'
      for (let i = 0; i < (full ? 20 : 3); i++) {
        await sleep(500)
        await lab.until(async () => (await lab.group(other(owner))).ready ? null : (await lab.group(other(owner))).reasons.join(), 30_000)
        const moved = await lab.agent(owner).cli(['cluster', 'switchover', '--to', other(owner), '--all'])
        t.equal(moved.code, 0, moved.stdout + moved.stderr)
        owner = other(owner)
        t.same([(await lab.group(owner)).role, (await lab.group(other(owner))).role], ['owner', 'standby'])
        await announces(owner)
      }
      const result = await running
      t.same([result.ok, result.failures], [16, {}], result.ok === 16 ? 'every download' : lab.said)
      const figures = await flow.figures
      t.equal(figures.error, null)
      t.comment(`datagrams: ${figures.received} of ${figures.sent}, longest gap ${figures.longestGapMs} ms`)
      if (owner === 'r2') {
        await lab.until(async () => (await lab.group('r1')).ready ? null : (await lab.group('r1')).reasons.join(), 30_000)
        t.equal((await lab.agent('r1').cli(['cluster', 'switchover', '--to', 'r1', '--all'])).code, 0)
      }
    })

    await t.test('the agent of the owner restarts: nothing moves where programs forward on', { skip: backend === 'userspace' ? 'packet workers end with their agent' : false }, async (t) => {
      const running = downloads(lab, 6, 8)
      for (let i = 0; i < (full ? 50 : 3); i++) {
        await sleep(300)
        if (i % 2 === 0) await lab.agent('r1').kill()
        else t.equal((await lab.agent('r1').stop()).code, 0)
        await sleep(400)
        t.equal((await lab.group('r2')).role, 'standby', 'the peer waits')
        t.equal(await announced(), 'r1', 'what forwards on is announced on')
        await lab.start('r1')
        await lab.until(async () => (await lab.group('r1')).role === 'owner' ? null : (await lab.group('r1')).role, 60_000)
      }
      t.same((await lab.group('r2')).history.filter((h) => h.to === 'owner').length, (await lab.group('r2')).history.filter((h) => h.to === 'owner' && h.code === 'move').length, 'no takeover but planned ones')
      const result = await running
      t.same([result.ok, result.failures], [8, {}], result.ok === 8 ? 'every download' : lab.said)
      await lab.settled('r1', 30_000)
    })

    await t.test('the owner dies: the other takes over, and downloads go on', async (t) => {
      const running = downloads(lab, 6, 16)
      await sleep(1500)
      await lab.settled('r1', 30_000)
      await lab.killNode('r1')
      await lab.until(async () => (await lab.group('r2')).role === 'owner' ? null : (await lab.group('r2')).role, 60_000)
      const result = await running
      t.same([result.ok, result.failures], [16, {}], result.ok === 16 ? 'every download' : lab.said)
      await lab.start('r1')
      await lab.settled('r2', 40_000)
      t.pass('it comes back as standby, and is proven equal')
      await announces('r2')
    })

    await t.test('the path of the stream is cut under changes: it goes on over the other, and comes back', async (t) => {
      const owner: RouterName = (await lab.group('r1')).role === 'owner' ? 'r1' : 'r2'
      const overPath = async (path: number): Promise<string | null> => {
        const used = [(await lab.status('r1')).sync, (await lab.status('r2')).sync].map((s) => s.state === 'up' ? s.path : s.state)
        return used.every((p) => p === path) ? null : `paths ${used.join()}`
      }
      await lab.until(async () => await overPath(0), 30_000)
      await lab.settled(owner, 30_000)
      const [before, epoch] = [(await lab.status(other(owner))).sync.received['differences'], (await lab.group(owner)).epoch]
      let changing = true
      const changes = (async (): Promise<number> => {
        let flows = 0
        for (; changing; flows++) t.equal((await echo(client, { kind: 'tcp', host: addresses.s1.v4, port: ports.echo, count: 5, intervalMs: 10 })).received, 5)
        return flows
      })()
      await must({ netns: lab.netns('r1'), argv: ['ip', 'link', 'set', 'sync', 'down'] })
      await lab.until(async () => await overPath(1), 20_000)
      const had = (await lab.status(other(owner))).sync.received['installed'] ?? 0
      await lab.until(async () => ((await lab.status(other(owner))).sync.received['installed'] ?? 0) > had ? null : 'nothing more was installed', 60_000)
      await must({ netns: lab.netns('r1'), argv: ['ip', 'link', 'set', 'sync', 'up'] })
      await lab.until(async () => await overPath(0), 40_000)
      changing = false
      t.comment(`${await changes} flows meanwhile`)
      t.match(await lab.agent(other(owner)).json(['cluster', 'verify', '--all']), [{ rg: 0, equal: true, differences: 0 }])
      t.equal((await lab.status(other(owner))).sync.received['differences'], before, 'nothing was lost, so nothing was repaired')
      t.equal((await lab.group(owner)).epoch, epoch, 'no takeover')
    })

    await t.test('all paths are cut and heal: one owner, tables proven equal', async (t) => {
      const links = ['sync', 'spare', 'fabric']
      for (const dev of links) await must({ netns: lab.netns('r1'), argv: ['ip', 'link', 'set', dev, 'down'] })
      await lab.until(async () => (await lab.group('r1')).role === 'owner' ? null : (await lab.group('r1')).role, 60_000)
      t.equal((await lab.group('r2')).role, 'owner', 'without a witness both survive, in two epochs')
      await sleep(full ? 30_000 : 2000)
      for (const dev of links) await must({ netns: lab.netns('r1'), argv: ['ip', 'link', 'set', dev, 'up'] })
      await lab.until(async () => {
        const roles = [(await lab.group('r1')).role, (await lab.group('r2')).role].sort().join()
        return roles === 'owner,standby' ? null : roles
      }, 60_000)
      const owner: RouterName = (await lab.group('r1')).role === 'owner' ? 'r1' : 'r2'
      await lab.settled(owner, 40_000)
      const flow = await echo(client, { kind: 'tcp', host: addresses.s1.v4, port: ports.echo, count: 20, intervalMs: 10 })
      t.same([flow.error, flow.received], [null, 20])
    })

    await t.test('what is applied at the owner runs on both; the other refuses', async (t) => {
      const owner: RouterName = (await lab.group('r1')).role === 'owner' ? 'r1' : 'r2'
      const changed = lab.config.replace('policies:\n', 'policies:\n  - {name: no-telnet, from: clients, to: servers, applications: [telnet], action: reject}\n')
      const refused = await lab.agent(other(owner)).cli(['apply', '-', '--json'], { input: changed })
      t.not(refused.code, 0)
      t.match(refused.stderr + refused.stdout, new RegExp(`LS_H_AUTHORITY.*${owner}`, 's'))
      const { generation } = await lab.agent(owner).apply(changed)
      await lab.until(async () => {
        const s = await lab.agent(other(owner)).status()
        return s.config.running?.generation === generation.generation ? null : `generation ${s.config.running?.generation ?? 0}`
      }, 60_000)
      await lab.settled(owner, 40_000)
      t.equal((await run(['curl', '-s', '--connect-timeout', '2', `telnet://${addresses.s1.v4}:23`], { netns: client, timeoutMs: 10_000 })).code, 7, 'refused at once')
    })

    await t.test('what is put at the owner is at both, also its longer life; the other refuses; it ends at both', async (t) => {
      const owner: RouterName = (await lab.group('r1')).role === 'owner' ? 'r1' : 'r2'
      const [here, there] = [lab.agent(owner), lab.agent(other(owner))]
      const refused = await there.cli(['vip', 'put', 'extra', '10.77.0.77', '--port', '80'])
      t.not(refused.code, 0)
      t.match(refused.stderr, new RegExp(`LS_H_AUTHORITY.*${owner}`, 's'))
      interface Overlay { readonly reals: ReadonlyArray<{ readonly hold: { readonly untilMs: string } }> }
      const put = async (): Promise<void> => { await here.json(['real', 'put', 'extra', addresses.s1.v4, '--ttl', '20s']) }
      const at = async (agent: LabAgent): Promise<Overlay> => await agent.json<Overlay>(['overlay', 'list'])
      await here.json(['vip', 'put', 'extra', '10.77.0.77', '--port', '80'])
      await put()
      const same = async (): Promise<string | null> => {
        const [mine, theirs] = [JSON.stringify(await at(here)), JSON.stringify(await at(there))]
        return mine === theirs ? null : `${mine} and ${theirs}`
      }
      await lab.until(same, 60_000)
      t.match(await there.json(['vip', 'list', 'extra']), [{ reals: [{ address: addresses.s1.v4, weight: 100 }] }])
      const until = (await at(there)).reals[0]?.hold.untilMs
      await put()
      await lab.until(same, 60_000)
      t.not((await at(there)).reals[0]?.hold.untilMs, until)
      t.same((await here.json<unknown[]>(['vip', 'readback', 'extra'])), await there.json<unknown[]>(['vip', 'readback', 'extra']), 'the same ring')
      for (const r of ['r1', 'r2'] as const) {
        await lab.until(async () => {
          const { rings } = await lab.status(r)
          return rings?.equal === 2 && rings.differing.length === 0 ? null : `rings at ${r}: ${JSON.stringify(rings)}`
        }, 60_000)
      }
      await lab.settled(owner, 40_000)
      await here.json(['vip', 'delete', 'extra'])
      await lab.until(same, 60_000)
      t.match(await there.json(['overlay', 'list']), { vips: [], reals: [] })
      await lab.settled(owner, 40_000)
    })
  })
}
