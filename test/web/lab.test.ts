/**
 * The page over a live lab: two routers with agents of their own, one gateway, one browser that is never reloaded. What happens to them is seen, in the order in which it
 * happened, and nothing is lost; how long after the agent's own date of it, or after waking, is printed.
 */
import t, { type Test } from 'tap'
import type { Locator } from 'playwright-core'
import type { PlainEvent } from '../../src/gateway/followed-agent.js'
import { ebpfSkip } from '../lab/instance.js'
import { openPairLab, type PairLab } from '../lab/pair-lab.js'
import { pairConfig, own, routers, type RouterName } from '../lab/pair-topology.js'
import { must } from '../lab/shell.js'
import { addresses } from '../lab/topology.js'
import { noBrowser, openSleeper, shoot } from './browser.js'
import { startGatewayProcess, wireTo } from './gateway-process.js'
import { happened, lossless, readBeside, record, sighted } from './sighted.js'
import { until } from '../until.js'


const more = (weight: number): string => `  seen:
    address: ${addresses.vip.v4}
    port: 8080
    healthcheck: alive
    pools: [{reals: [{name: alpha, address: ${addresses.s1.v4}}, {name: beta, address: ${addresses.s2.v4}, weight: ${weight}}]}]
healthchecks:
  alive: {type: tcp, interval: 300ms, timeout: 200ms, rise: 1, fall: 2}`

/** Whether the second server can answer the routers. */
async function reach (lab: PairLab, yes: boolean): Promise<void> {
  for (const r of routers) await must({ netns: lab.netns('s2'), argv: ['ip', 'route', yes ? 'del' : 'add', 'blackhole', `${own[r].lan.v4}/32`] })
}

t.test('a pair, a gateway and a page', { skip: noBrowser || await ebpfSkip('ip') }, async (t) => {
  const lab = await openPairLab(t, 'web', { backend: 'ebpf', more: more(100) })
  const config = (weight: number): string => pairConfig({ backend: 'ebpf', keyFile: lab.keyFile, more: more(weight) })
  await Promise.all(routers.map(async r => await lab.start(r)))
  await lab.settled('r1', 60_000)
  const gateway = await startGatewayProcess(t, routers.map(r => `${r}=unix:${lab.agent(r).socket}`).join(','), { role: 'admin' })
  const { address } = gateway
  const wire = await wireTo(t, () => address)
  const tab = await openSleeper(t, `http://${wire.address}/#/vips`)
  const go = async (view: string): Promise<void> => {
    await tab.page.evaluate(`location.hash = '#/${view}'`)
    await tab.page.locator(`nav a[href="#/${view}"][aria-current=page]`).waitFor()
  }
  await until('the page to be live', async () => await tab.says('condition') === 'live')
  await record(tab)
  const panel = (agent: RouterName): Locator => tab.page.locator('section.panel', { has: tab.page.locator('h2 .agent', { hasText: agent }) })
  const real = (agent: RouterName): RegExp => new RegExp(`^${agent} └ beta`)
  const beside = await readBeside(t, address)
  /** In the order in which they were seen. */
  const figures: Array<readonly [what: string, ms: number]> = []
  /** `at`: when it happened, or when the page woke. */
  const seen = async (t: Test, what: string, at: number, where: RegExp, text: RegExp, from: number): Promise<void> => {
    const ms = await sighted(tab, where, text, from) - at
    figures.push([what, ms])
    t.comment(`${what}: seen after ${ms} ms`)
  }
  const dated = async (agent: RouterName, from: number, like: (event: PlainEvent) => boolean): Promise<number> => (await happened(address, agent, from, like)).at
  const transition = (to: string) => ({ event, object, fields }: PlainEvent): boolean => event === 'real-transition' && object.includes(addresses.s2.v4) && fields['to'] === to
  const role = (to: string) => ({ event, fields }: PlainEvent): boolean => event === 'role' && fields['to'] === to
  const whole = async (t: Test, back: string): Promise<void> => { await lossless(t, tab, address, back, beside) }

  await t.test('a real dies and comes back: both routers find it', async (t) => {
    for (const r of routers) await sighted(tab, real(r), /serving 100 100/, 0)
    for (const [to, text] of [['down', /down 100 0/], ['up', /serving 100 100/]] as const) {
      const from = Date.now()
      await reach(lab, to === 'up')
      for (const r of routers) await seen(t, `real ${to}, ${r}`, await dated(r, from, transition(to)), real(r), text, from)
    }
    await whole(t, '#/vips')
  })

  await t.test('a weight changes on one router, and its peer follows', async (t) => {
    const from = Date.now()
    await lab.agent('r1').apply(config(7))
    for (const r of routers) await seen(t, `weight, ${r}`, await dated(r, from, ({ event, fields }) => event === 'lb-sync-real-weight-updated' && fields['to'] === 7), real(r), /serving 7 7/, from)
    await whole(t, '#/vips')
  })

  await t.test('the backend is switched there and back', async (t) => {
    await go('overview')
    for (const to of ['userspace', 'ebpf']) {
      const from = Date.now()
      await lab.agent('r2').json(['backend', 'switch', to])
      await seen(t, `backend ${to}`, await dated('r2', from, ({ event, fields }) => event === 'switch_end' && fields['to'] === to), /^r2 card/, new RegExp(`Backend ${to}`), from)
      await shoot(tab.page, `lab-backend-${to}`)
    }
    await whole(t, '#/cluster')
  })

  await t.test('a planned move, by the button of the page', async (t) => {
    await lab.settled('r1', 60_000)
    await go('cluster')
    const from = Date.now()
    await panel('r1').getByRole('button', { name: 'Move' }).click()
    await tab.page.getByRole('dialog', { name: 'Move group 0 to r2?' }).waitFor()
    await tab.page.getByRole('button', { name: 'Move group 0' }).click()
    await until('the answer', async () => /r2 owns group 0 now/.test(await tab.page.getByRole('dialog').innerText()))
    await seen(t, 'planned move, heir', await dated('r2', from, role('owner')), /^r2 0/, /^0 (pinned )?. owner r2/, from)
    await seen(t, 'planned move, old owner', await dated('r1', from, role('standby')), /^r1 0/, /^0 (pinned )?. standby r2/, from)
    await shoot(tab.page, 'lab-moved')
    await tab.page.getByRole('button', { name: 'Close' }).click()
    await whole(t, '#/cluster')
  })

  await t.test('failover: the owner loses its power', async (t) => {
    await lab.settled('r2', 60_000)
    const from = Date.now()
    await lab.killNode('r2')
    await seen(t, 'failover, heir', await dated('r1', from, role('owner')), /^r1 0/, /^0 (pinned )?. owner r1/, from)
    await seen(t, 'failover, the dead one', from, /^r2 header/, /not reached/, from)
    await shoot(tab.page, 'lab-failover')
    for (const [name, colorScheme, viewport] of [['desktop-dark', 'dark', { width: 1360, height: 860 }], ['phone-light', 'light', { width: 390, height: 844 }], ['phone-dark', 'dark', { width: 390, height: 844 }]] as const) {
      await tab.page.emulateMedia({ colorScheme })
      await tab.page.setViewportSize(viewport)
      await shoot(tab.page, `lab-failover-${name}`)
    }
    await tab.page.emulateMedia({ colorScheme: 'light' })
    await tab.page.setViewportSize({ width: 1360, height: 860 })
    await whole(t, '#/cluster')
  })

  await t.test('its agent starts again', async (t) => {
    const from = Date.now()
    await lab.start('r2')
    const at = await dated('r2', from, ({ event }) => event === 'started')
    await seen(t, 'restart', at, /^r2 header/, /^r2 ?Pair *$/i, from)
    await whole(t, '#/cluster')
    await lab.settled('r1', 60_000)
  })

  /** What happens meanwhile is not seen before. */
  const meanwhile = async (t: Test, what: string, away: () => Promise<void> | void, back: () => Promise<void> | void): Promise<void> => {
    await go('vips')
    await sighted(tab, real('r1'), /serving/, 0)
    const epoch = await tab.says('epoch')
    await away()
    const from = Date.now()
    await reach(lab, false)
    for (const r of routers) await dated(r, from, transition('down'))
    const woken = Date.now()
    await back()
    for (const r of routers) await seen(t, `${what}, ${r}`, woken, real(r), /down 7 0/, from)
    t.ok(await sighted(tab, real('r1'), /down 7 0/, from) >= woken, 'not while it was away')
    t.equal(await tab.says('epoch'), epoch, 'resumed')
    const revived = Date.now()
    await reach(lab, true)
    for (const r of routers) await sighted(tab, real(r), /serving 7 7/, revived)
    await whole(t, '#/vips')
  }

  await t.test('the network of the page is cut and comes back', async (t) => { await meanwhile(t, 'network cut', wire.cut, wire.mend) })
  await t.test('the page is frozen and wakes', async (t) => { await meanwhile(t, 'frozen page', tab.sleep, tab.wake) })
  await t.test('a laptop sleeps: the page is frozen and its connection dies without a word', async (t) => {
    await meanwhile(t, 'sleep', async () => {
      await tab.sleep()
      wire.stall()
    }, async () => {
      wire.mend()
      await tab.wake()
    })
  })

  t.comment(`seen after, ms: ${figures.map(([what, ms]) => `${what} ${ms}`).join('; ')}`)
  for (const [what, ms] of figures) if (ms > 1000) t.comment(`later than a second: ${what}, ${ms} ms`)
  // Nothing but the page's own refetch would be so late: the stream did not tell it.
  t.same(figures.filter(([, ms]) => ms > 5000), [])
})
