/** Each thing that a standby lacks is named as the reason why it is not ready, a planned move to it is refused with that reason, and it is ready again when it has it. */
import t, { type Test } from 'tap'
import { ebpfSkip } from './instance.js'
import { udpTuples } from './load.js'
import { openPairLab, type PairLab } from './pair-lab.js'
import { pairConfig, routers } from './pair-topology.js'
import { must, type Command } from './shell.js'
import { skipReason } from './support.js'
import { addresses, macs } from './topology.js'

const WITHIN_MS = 60_000

/** r2 says so, and r1 keeps the group when it is asked to give it away. */
async function refuses (t: Test, lab: PairLab, reason: string): Promise<void> {
  await lab.until(async () => {
    const { ready, reasons } = await lab.group('r2')
    return !ready && reasons.includes(reason) ? null : `r2 is ${ready ? 'ready' : reasons.join(', ')}`
  }, WITHIN_MS)
  const moved = await lab.agent('r1').cli(['cluster', 'switchover', '--to', 'r2', '--all'])
  t.equal(moved.code, 1)
  t.match(moved.stdout, new RegExp(`refused: .*${reason}`), moved.stdout + moved.stderr)
  t.equal((await lab.group('r1')).role, 'owner')
  t.not((await lab.group('r2')).role, 'owner')
}

for (const backend of ['userspace', 'ebpf'] as const) {
  const skip = backend === 'ebpf' ? await ebpfSkip('cc') : await skipReason('cc')
  t.test(`readiness on ${backend}`, { skip }, async (t) => {
    const lab = await openPairLab(t, `pr${backend[0] ?? ''}`, { backend, more: 'timeouts: {udp-new: 20s}' })
    const link = async (host: 'r1' | 'r2', ...argv: string[]): Promise<void> => { await must({ netns: lab.netns(host), argv: ['ip', 'link', ...argv] } satisfies Command) }
    await Promise.all([lab.start('r1'), lab.start('r2')])
    await lab.settled('r1', WITHIN_MS)

    await t.test('an interface that is down', async (t) => {
      await link('r2', 'set', 'lan', 'down')
      await refuses(t, lab, 'interfaces-down')
      await link('r2', 'set', 'lan', 'up')
      await lab.settled('r1', WITHIN_MS)
    })

    await t.test('a link of the owner comes back: what is behind it is told again where the addresses are', async (t) => {
      const gateway = addresses.routerClient.v4
      await link('r1', 'set', 'wan', 'down')
      await lab.until(async () => { const { reasons } = await lab.group('r1'); return reasons.includes('interfaces-down') ? null : reasons.join() }, WITHIN_MS)
      await must({ netns: lab.netns('client'), argv: ['ip', 'neigh', 'replace', gateway, 'lladdr', await lab.mac('r2', 'wan'), 'dev', 'eth0', 'nud', 'stale'] })
      await link('r1', 'set', 'wan', 'up')
      const mine = await lab.mac('r1', 'wan')
      await lab.until(async () => { const now = await must({ netns: lab.netns('client'), argv: ['ip', 'neigh', 'show', gateway] }); return now.includes(mine) ? null : now }, 20_000)
      t.pass(`${gateway} is at ${mine}`)
      await lab.settled('r1', WITHIN_MS)
    })

    await t.test('a next hop that does not answer the standby', async (t) => {
      const neighbour = ['ip', 'neigh', 'replace', '10.77.2.50', 'lladdr', macs.s1, 'dev', 'lan', 'nud', 'permanent'] // there is no such host
      await must({ netns: lab.netns('r1'), argv: neighbour })
      for (const r of routers) await must({ netns: lab.netns(r), argv: ['ip', 'route', 'add', '10.99.0.0/16', 'via', '10.77.2.50', 'dev', 'lan'] })
      await refuses(t, lab, 'next-hops')
      await must({ netns: lab.netns('r2'), argv: neighbour })
      await lab.settled('r1', WITHIN_MS)
    })

    await t.test('an older policy', async (t) => {
      // An interface that only the owner has: the standby cannot follow.
      await link('r1', 'add', 'extra', 'type', 'veth', 'peer', 'name', 'extra2')
      for (const dev of ['extra', 'extra2']) await link('r1', 'set', dev, 'up')
      const { generation } = await lab.agent('r1').apply(lab.config.replace('  lan: {zone: servers', '  extra: {zone: servers}\n  lan: {zone: servers'))
      await refuses(t, lab, 'generation-differs')
      t.ok(lab.agent('r1').log.includes('"event":"config.refused"'), `r1 is told why r2 does not apply generation ${generation.generation}`)
      await lab.agent('r1').apply(lab.config)
      await lab.settled('r1', WITHIN_MS)
    })

    await t.test('a smaller table', async (t) => {
      await lab.agent('r2').stop()
      await lab.agent('r2').teardown()
      await lab.start('r2', pairConfig({ backend, keyFile: lab.keyFile, capacity: '1k', more: 'timeouts: {udp-new: 20s}' }))
      await lab.settled('r1', WITHIN_MS)
      const filling = (async () => { for (let i = 0; i < 3; i++) await udpTuples(lab.topology, { to: addresses.s1.v4, port: 7000, flows: 4000, rate: 1000, from: [addresses.client.v4] }) })()
      await refuses(t, lab, 'capacity')
      await filling
      for (const r of routers) t.match(await must({ netns: lab.netns(r), argv: ['ip', 'neigh', 'show', '10.77.2.50'] }), /PERMANENT/, `what was made to stay has stayed on ${r}`)
    })
  })
}
