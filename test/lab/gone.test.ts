/** An interface that is deleted under a running agent and comes back under its name, on each backend: told by name, all else goes on, and it is taken again. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { probeBackends } from '../../src/backend/registry.js'
import { quickstartConfig, shortTimeouts } from './config.js'
import { agentSaid, openLab, skipReason } from './support.js'
import { must } from './shell.js'
import { addresses, setupCommands } from './topology.js'
import { ping } from './traffic.js'

const skip = await skipReason('ping')
const found = probeBackends()
const ofBackend = (name: string): string | false => { const one = found.find(p => p.backend === name); return skip || (one?.available === true ? false : one?.reason ?? `no ${name} backend`) }

for (const [backend, other] of [['userspace', 'ebpf'], ['ebpf', 'userspace'], ['dpdk', 'userspace']] as const) {
  t.test(`under ${backend}`, { skip: ofBackend(backend) || ofBackend(other) }, async (t) => {
    const lab = await openLab(t, `gone${backend.slice(0, 1)}`)
    const agent = await lab.startAgent(quickstartConfig(lab.prefix, [shortTimeouts, [['agent', 'backend'], backend]]))
    const [client, router] = [lab.netns('client'), lab.netns('router')]
    const reasons = async (): Promise<string> => (await agent.json<{ reasons?: readonly string[] }>(['status'])).reasons?.join('; ') ?? ''
    const becomes = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
      for (let i = 0; !await holds(); i++) {
        if (i === 100) throw new Error(`waited in vain until ${what}: ${await reasons()}; ${agentSaid(lab).slice(-1500)}`)
        await sleep(200)
      }
    }
    const comesBack = async (): Promise<void> => {
      for (const command of setupCommands(lab.topology.options).filter(({ netns, argv }) => argv.includes('rt-client') || (netns === client && (argv.includes('eth0') || argv.includes('route'))))) await must(command)
      await becomes('it forwards again', async () => (await ping({ netns: client, to: addresses.s1.v4, count: 1 })).received === 1)
      await becomes('nothing is told any more', async () => !(await reasons()).includes('rt-client'))
    }
    const goes = async (): Promise<void> => {
      await must({ netns: router, argv: ['ip', 'link', 'del', 'rt-client'] })
      await becomes('it is told', async () => /port rt-client: .*gone/.test(await reasons()))
      t.equal((await ping({ netns: router, to: addresses.s1.v4, count: 2 })).received, 2, 'the other port goes on')
      t.match(await agent.verify(), { ok: true })
    }
    await becomes('it forwards', async () => (await ping({ netns: client, to: addresses.s1.v4, count: 1 })).received === 1) // ebpf drops the first frame to a next hop that nobody resolved
    await goes()
    await comesBack()
    await goes()
    t.equal((await agent.cli(['backend', 'switch', other])).code, 0, 'another backend can be chosen without it')
    t.match(await reasons(), /port rt-client: .*gone/)
    await comesBack()
    t.equal((await agent.cli(['backend', 'switch', backend])).code, 0)
    t.equal((await ping({ netns: client, to: addresses.s1.v4, count: 3 })).received, 3)
    t.match(await agent.verify(), { ok: true, faults: [] })
    t.equal((await agent.stop()).code, 0)
  })
}
