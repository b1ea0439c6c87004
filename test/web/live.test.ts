/**
 * The page over a gateway and two agents, as processes: what happens in an agent is seen in a browser that is never reloaded, once, through restarts of everything and
 * through a network that is cut or silent. Nothing is lost: numbers of messages have no gap, and every event that the gateway has is in the page's tail.
 */
import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Locator } from 'playwright-core'
import { apply, ask } from '../agent/agent-process.js'
import { balanced, configOf, type Balanced } from './balanced.js'
import { noBrowser, openTab, shoot, withBrowser, type Tab } from './browser.js'
import { startGatewayProcess, wireTo, type GatewayProcess, type Wire } from './gateway-process.js'
import { lossless } from './sighted.js'
import { until } from '../until.js'


interface Scene {
  readonly one: Balanced
  readonly two: Balanced
  readonly gateway: () => GatewayProcess
  readonly restartGateway: (between: () => Promise<void>) => Promise<void>
  readonly wire: Wire
  readonly tab: Tab
}

async function scene (t: Test): Promise<Scene> {
  const browser = await withBrowser(t)
  const [one, two] = [await balanced(t, 'edge-1'), await balanced(t, 'edge-2')]
  const servers = `edge-1=unix:${one.place.socket},edge-2=unix:${two.place.socket}`
  let gateway = await startGatewayProcess(t, servers)
  const { address } = gateway
  const wire = await wireTo(t, () => address)
  const tab = await openTab(t, browser, `http://${wire.address}/#/vips`)
  await tab.page.evaluate('window.neverReloaded = true')
  return {
    one, two, wire, tab, gateway: () => gateway,
    restartGateway: async (between) => {
      await gateway.stop()
      await between()
      gateway = await startGatewayProcess(t, servers, { http: address })
    }
  }
}

const panel = ({ page }: Tab, agent: string): Locator => page.locator('section.panel', { has: page.locator('h2 .agent', { hasText: agent }) })
const real = (tab: Tab, agent: string, name: string): Locator => panel(tab, agent).locator('tr.real', { hasText: name })
/** The row of a real says so, sooner or later. */
async function sees (tab: Tab, agent: string, name: string, text: RegExp): Promise<void> {
  await until(`${name} of ${agent} to be ${text.source}`, async () => text.test(await real(tab, agent, name).innerText().catch(() => '')))
}
const live = async (tab: Tab): Promise<void> => { await until('the page to be live', async () => await tab.says('condition') === 'live') }

const whole = async (t: Test, { tab, gateway }: Scene): Promise<void> => { await lossless(t, tab, gateway().address, '#/vips') }

t.test('the page', { skip: noBrowser }, async (t) => {
  const now = await scene(t)
  const { one, two, tab, wire } = now
  const [zulu, alpha, mike] = ['10.0.1.11', '10.0.1.12', '10.0.1.13'] as const
  await live(tab)

  await t.test('reals stand in the order of the configuration', async (t) => {
    await sees(tab, 'edge-2', 'mike', /serving/)
    for (const agent of ['edge-1', 'edge-2']) t.same((await panel(tab, agent).locator('tr.real th').allInnerTexts()).map(text => /\w+/.exec(text.replace('└', ''))?.[0]), ['zulu', 'alpha', 'mike'], agent)
  })

  await t.test('a real dies and comes back', async (t) => {
    await sees(tab, 'edge-1', 'zulu', /serving\s+100\s+100/)
    one.kill(zulu)
    await sees(tab, 'edge-1', 'zulu', /down\s+100\s+0\s/)
    t.match(await real(tab, 'edge-2', 'zulu').innerText(), /serving/, 'of the other agent it is another')
    await shoot(tab.page, 'desktop-light-vips-down')
    one.revive(zulu)
    await sees(tab, 'edge-1', 'zulu', /serving\s+100\s+100/)
    await whole(t, now)
  })

  await t.test('a weight changes', async (t) => {
    await ask((done: (error: never, value: unknown) => void) => two.agent().calls.config.apply(apply(configOf('edge-2', two.place, 7)), done as never))
    await sees(tab, 'edge-2', 'zulu', /serving\s+7\s+7/)
    writeFileSync(two.place.file, configOf('edge-2', two.place, 7))
    await whole(t, now)
  })

  await t.test('an agent restarts, and something changed meanwhile', async (t) => {
    await one.restart(async () => {
      await until('the page to say so', async () => /not reached/.test(await panel(tab, 'edge-1').innerText()))
      t.match(await real(tab, 'edge-1', 'alpha').innerText(), /serving/, 'what was known is shown')
      one.kill(alpha)
    })
    await sees(tab, 'edge-1', 'alpha', /down/)
    await until('the page to say so no more', async () => !/not reached/.test(await panel(tab, 'edge-1').innerText()))
    one.revive(alpha)
    await sees(tab, 'edge-1', 'alpha', /serving/)
    await whole(t, now)
  })

  await t.test('the network is cut: it says how old its numbers are, and goes on where it was', async (t) => {
    const before = Number(await tab.says('connections'))
    const epoch = await tab.says('epoch')
    wire.cut()
    await until('it to say so', async () => /not live, \d+ s old/.test(await tab.page.locator('.live').innerText()))
    two.kill(mike)
    await until('the gateway to know', async () => (await (await fetch(`http://${now.gateway().address}/api/state?kind=target`)).text()).includes('"down"'))
    t.match(await real(tab, 'edge-2', 'mike').innerText(), /serving/)
    wire.mend()
    await sees(tab, 'edge-2', 'mike', /down/)
    t.ok(Number(await tab.says('connections')) > before)
    t.equal(await tab.says('epoch'), epoch, 'resumed')
    two.revive(mike)
    await sees(tab, 'edge-2', 'mike', /serving/)
    await whole(t, now)
  })

  await t.test('a network that swallows everything without a word: silence is enough', async (t) => {
    wire.stall()
    one.kill(mike)
    await until('it to give the connection up', async () => await tab.says('condition') !== 'live')
    wire.mend()
    await sees(tab, 'edge-1', 'mike', /down/)
    one.revive(mike)
    await sees(tab, 'edge-1', 'mike', /serving/)
    await whole(t, now)
  })

  await t.test('another gateway in its place: everything anew', async (t) => {
    const epoch = await tab.says('epoch')
    await now.restartGateway(async () => {
      one.kill(zulu)
      await until('it to say so', async () => await tab.says('condition') !== 'live')
    })
    await sees(tab, 'edge-1', 'zulu', /down/)
    t.not(await tab.says('epoch'), epoch)
    one.revive(zulu)
    await sees(tab, 'edge-1', 'zulu', /serving/)
    await whole(t, now)
  })

  await t.test('a tab that nobody looks at lets its connection go, and is up to date when it is shown', async (t) => {
    const show = async (state: string): Promise<void> => { await tab.page.evaluate(`Object.defineProperty(document, 'visibilityState', { value: '${state}', configurable: true }); document.dispatchEvent(new Event('visibilitychange'))`) }
    await show('hidden')
    await new Promise((resolve) => { setTimeout(resolve, 1500) })
    t.equal(await tab.says('condition'), 'live', 'not at once')
    const epoch = await tab.says('epoch')
    await tab.page.evaluate('{ const now = Date.now.bind(Date); Date.now = () => now() + 61_000 }') // a minute passes
    await until('it to let go', async () => await tab.says('condition') !== 'live')
    one.kill(alpha)
    await until('the gateway to know', async () => (await (await fetch(`http://${now.gateway().address}/api/state?kind=target`)).text()).includes('"down"'))
    t.match(await real(tab, 'edge-1', 'alpha').innerText(), /serving/)
    await show('visible')
    await sees(tab, 'edge-1', 'alpha', /down/)
    t.equal(await tab.says('epoch'), epoch, 'resumed')
    one.revive(alpha)
    await sees(tab, 'edge-1', 'alpha', /serving/)
    await whole(t, now)
  })

  await t.test('the page is frozen, as in a sleep, and wakes', async (t) => {
    const before = Number(await tab.says('connections'))
    // nothing of it runs: neither timers nor what comes over the network, as on a laptop whose lid is shut
    await tab.cdp.send('Debugger.enable')
    const paused = new Promise((resolve) => { tab.cdp.once('Debugger.paused', resolve) })
    await tab.cdp.send('Debugger.pause')
    await paused
    two.kill(alpha)
    await until('the gateway to know', async () => (await (await fetch(`http://${now.gateway().address}/api/state?kind=target`)).text()).includes('"down"'))
    await new Promise((resolve) => { setTimeout(resolve, 7000) })
    await tab.cdp.send('Debugger.resume')
    await tab.cdp.send('Debugger.disable')
    await sees(tab, 'edge-2', 'alpha', /down/)
    await until('a new connection', async () => Number(await tab.says('connections')) > before)
    two.revive(alpha)
    await sees(tab, 'edge-2', 'alpha', /serving/)
    await whole(t, now)
  })
})
