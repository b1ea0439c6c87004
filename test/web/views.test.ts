/** Every view over agents in memory: a thousand VIPs, names that would be code, a search, a planned move, drift, keyboard and contrast; and pictures of all of it to be looked at. */
import { chmodSync } from 'node:fs'
import t, { type Test } from 'tap'
import { startGateway, type Gateway } from '../../src/gateway/main.js'
import type { VipStatus } from '../../src/contract/balancing.js'
import { withServer, type Running } from '../unit/rpc/with-server.js'
import { neighbour } from '../../src/bgp/providers/provider.js'
import { noBrowser, openTab, shoot, withBrowser } from './browser.js'
import { until } from '../until.js'

if (process.getuid?.() === 0) process.getuid = () => 1000 // it would give up this process's own rights

const VIPS = 1000
const code = '<img src=x onerror="document.title=\'owned\'">'
const vips = (count: number): VipStatus[] => Array.from({ length: count }, (_, i) => ({
  name: `vip-${i}`, address: `10.${i >> 8}.${i & 255}.1/32`, port: 443, protocol: 6, mode: 'nat', redundancyGroup: 0, state: 'up', pool: 'main',
  reals: ['c', 'a', 'b'].map((name, n) => ({ name, pool: 'main', address: `10.200.${i >> 8}.${n}`, port: 0, configuredWeight: 100, weight: 100, state: 'serving', target: null }))
}))

async function withAgents (t: Test, role = 'admin'): Promise<{ readonly one: Running, readonly two: Running, readonly gateway: Gateway, readonly url: string }> {
  const [one, two] = [await withServer(t, 200_000), await withServer(t, 1000)]
  for (const { directory } of [one, two]) chmodSync(directory, 0o755)
  const gateway = await startGateway({ http: '127.0.0.1:0', grpc: 'off', role, user: '1000:1000', socketPath: '', servers: [`edge-1=unix:${one.socketPath}`, `edge-2=unix:${two.socketPath}`] })
  t.teardown(async () => { await gateway.close() })
  return { one, two, gateway, url: `http://${gateway.httpAddress}` }
}
const tell = ({ agent: { loadBalancer } }: Running, list: readonly VipStatus[]): void => {
  loadBalancer.vipList = list
  loadBalancer.events.tell({ at: Date.now(), name: 'vip-state', level: 'warn', fields: {} })
}

t.test('a thousand VIPs: only those in sight exist, and a burst of changes is seen', { skip: noBrowser }, async (t) => {
  const { one, url } = await withAgents(t)
  const browser = await withBrowser(t)
  tell(one, vips(VIPS))
  const { page, problems, says } = await openTab(t, browser, `${url}/#/vips/edge-1`)
  await until('the VIPs', async () => await page.locator('tr.vip').count() > 10)
  const rows = async (): Promise<number> => await page.locator('tbody tr').count()
  t.ok(await rows() < 200, `${await rows()} rows of ${VIPS * 4}`)
  t.equal(await page.locator('table').getAttribute('aria-rowcount'), String(VIPS * 4 + 1), 'and all are counted for who cannot see')
  await page.evaluate('window.scrollTo(0, document.body.scrollHeight)')
  await until('the last VIP', async () => await page.locator('tr.vip', { hasText: `vip-${VIPS - 1}` }).count() === 1)
  t.ok(await rows() < 200)
  const longest = page.evaluate("new Promise(done => { let most = 0, last = performance.now(), n = 0; const frame = now => { most = Math.max(most, now - last); last = now; if (++n < 240) requestAnimationFrame(frame); else done(most) }; requestAnimationFrame(frame) })")
  for (let round = 1; round <= 5; round++) {
    tell(one, vips(VIPS).map(vip => ({ ...vip, state: round === 5 ? 'panic' : 'degraded', reals: vip.reals.map(real => ({ ...real, weight: round })) })))
    await new Promise((resolve) => { setTimeout(resolve, 300) })
  }
  await until('the last change', async () => /panic/.test(await page.locator('tr.vip', { hasText: `vip-${VIPS - 1}` }).innerText()))
  t.comment(`longest frame while ${VIPS} VIPs changed five times: ${Math.round(await longest as number)} ms`)
  t.equal(await says('gaps'), '0')
  await page.getByLabel('Find').fill('vip-77')
  await until('what was looked for', async () => await page.locator('tr.vip').count() === 11)
  t.same(problems, [])
})

t.test('names and events that would be code are text', { skip: noBrowser }, async (t) => {
  const { one, url } = await withAgents(t)
  const browser = await withBrowser(t)
  const [vip] = vips(1)
  tell(one, [{ ...vip as VipStatus, name: code, reals: [{ ...vip?.reals[0] as VipStatus['reals'][number], name: `<script>${code}</script>` }] }])
  one.agent.journal.note('agent', 'script', code, { text: `</script>${code}` })
  one.agent.info = { ...one.agent.info, state: 'degraded', reasons: [code] }
  const { page, problems } = await openTab(t, browser, `${url}/#/vips`)
  await until('the name', async () => (await page.locator('tr.vip').allInnerTexts()).some(text => text.includes(code)))
  for (const view of ['overview', 'events', 'health', 'cluster', 'configuration']) {
    await page.evaluate(`location.hash = '#/${view}'`)
    if (view === 'overview') await until('the labels', async () => (await page.locator('[data-agent="edge-1"]').innerText()).includes('rack=b12'))
    if (view === 'events') await until('the event', async () => (await page.locator('.events').innerText()).includes(code))
    t.equal(await page.locator('main img, main script').count(), 0, view)
  }
  t.not(await page.title(), 'owned')
  t.same(problems, [], 'and nothing tried to run')
})

t.test('probes: one that is planned is seen to begin at its time, and its result when it is there', { skip: noBrowser }, async (t) => {
  const { one, url } = await withAgents(t)
  const balancer = one.agent.loadBalancer
  const [, target] = balancer.targetList
  const say = (more: Partial<NonNullable<typeof target>>): void => { balancer.targetList = [{ ...target as NonNullable<typeof target>, ...more }] }
  const nextAt = Date.now() + 6000
  say({ nextAt })
  const { page } = await openTab(t, await withBrowser(t), `${url}/#/health/edge-1`)
  const mark = page.locator('.heart i.next')
  await until('the plan', async () => await mark.getAttribute('data-at').catch(() => null) === String(nextAt))
  const opacity = async (): Promise<string> => await page.evaluate("getComputedStyle(document.querySelector('.heart i.next')).opacity") as string
  t.equal(await opacity(), '0', 'it did not begin yet')
  await until('its beginning', async () => Number(await opacity()) > 0.5)
  t.ok(Date.now() >= nextAt, 'not before')
  say({ probing: true, nextAt: Date.now() + 60_000 })
  await page.locator('.heart i.next.began').waitFor()
  await page.getByRole('img', { name: 'a probe is under way' }).waitFor()
  say({ probing: false, nextAt: null, passed: 1, last: { ok: true, code: 'ok', detail: '', tookMs: 2, at: Date.now() } })
  await page.locator('.heart i.good.last').waitFor()
  t.equal(await mark.count(), 0, 'nobody probes any more')
})

t.test('sessions: searched, walked through, and a mistake is explained', { skip: noBrowser }, async (t) => {
  const { url } = await withAgents(t)
  const { page } = await openTab(t, await withBrowser(t), `${url}/#/sessions`)
  const says = async (text: RegExp): Promise<void> => { await until(text.source, async () => text.test(await page.locator('main').innerText())) }
  await says(/200\D000 match; page 1, 100 rows/)
  const firstRow = async (): Promise<string> => await page.locator('tbody tr').first().innerText()
  await until('rows', async () => /10\.0\.0\.0:1024/.test(await firstRow()))
  const first = await firstRow()
  await page.getByRole('button', { name: 'Next 100' }).click()
  await says(/page 2, 100 rows/)
  await until('other rows', async () => await firstRow() !== first) // the text above them may be painted before they are
  await page.getByRole('button', { name: 'Back' }).click()
  await says(/page 1, 100 rows/)
  await until('the rows of before', async () => await firstRow() === first)
  await page.getByLabel('Any address').fill('not an address')
  await page.keyboard.press('Enter')
  await says(/filter\.address.*an address or a prefix/)
  await page.getByLabel('Any address').fill('')
  await page.locator('form').getByLabel('Agent').selectOption('edge-2')
  await page.getByRole('button', { name: 'Search' }).click()
  await says(/1\D000 match/)
  await until('the rows of the other agent', async () => await firstRow() === first)
  await page.getByLabel('Order').selectOption('bytes down')
  await until('the largest of all', async () => /99\.9\sk \/ 999\sk/.test(await firstRow()))
  await page.getByRole('button', { name: 'Next 100' }).click()
  await says(/page 2, 100 rows/)
  await until('those behind them', async () => /89\.9\sk \/ 899\sk/.test(await firstRow()))
  await page.getByLabel('Order').selectOption('source down')
  await says(/page 1, 100 rows/)
  await until('the table again, of which this page is put in order', async () => /10\.0\.0\.\d+:|2001/.test(await firstRow()) && !/89\.9/.test(await firstRow()))
})

t.test('a planned move: asked twice, told to the agent, and only offered to who may', { skip: noBrowser }, async (t) => {
  const browser = await withBrowser(t)
  const { one, url } = await withAgents(t)
  const { page, problems } = await openTab(t, browser, `${url}/#/cluster/edge-1`)
  const row = page.locator('tr', { hasText: 'all' }).first()
  await row.getByRole('button', { name: 'Move' }).click()
  await page.getByRole('dialog', { name: 'Move group 0 to edge-2?' }).waitFor()
  await shoot(page, 'desktop-light-move')
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  t.same(one.agent.cluster.calls, [], 'Escape is no')
  await row.getByRole('button', { name: 'Move' }).click()
  await page.getByRole('button', { name: 'Move group 0' }).click()
  await until('the answer', async () => /edge-2 owns group 0 now/.test(await page.getByRole('dialog').innerText()))
  t.same(one.agent.cluster.calls, [['switchover', [0], 'edge-2']])
  one.agent.cluster.refused = [{ rg: 1, reasons: ['not-proven-equal'] }]
  await page.getByRole('button', { name: 'Close' }).click()
  await page.locator('tr', { hasText: 'pinned' }).getByRole('button', { name: 'Move' }).click()
  await page.getByRole('button', { name: 'Move group 1' }).click()
  await until('the refusal', async () => /stays where it is: not-proven-equal/.test(await page.getByRole('dialog').innerText()))
  t.same(problems, [])
  const viewer = await withAgents(t, 'operator')
  const other = await openTab(t, browser, `${viewer.url}/#/cluster`)
  await until('the groups', async () => await other.page.locator('tbody tr').count() > 3)
  t.equal(await other.page.getByRole('button', { name: 'Move' }).count(), 0)
})

t.test('what is shown and is not so is found, said, and put right', { skip: noBrowser }, async (t) => {
  const { url } = await withAgents(t)
  const { page, says } = await openTab(t, await withBrowser(t), `${url}/#/vips/edge-1`)
  await until('a check that finds nothing', async () => Number(await says('checks')) === 1)
  t.equal(await says('drifts'), '0')
  await page.route('**/api/state', async (route) => {
    const answer = await route.fetch()
    await route.fulfill({ response: answer, body: (await answer.text()).replace('"mode":"ipip"', '"mode":"gre"') })
  })
  await until('a check that does', async () => Number(await says('drifts')) === 1).catch(async () => { await until('it', async () => Number(await says('drifts')) === 1) })
  t.match(await page.locator('.notice').innerText(), /1 of the objects shown were not what the gateway had/)
  await until('the page to be live', async () => await says('condition') === 'live')
})

t.test('keyboard, landmarks, contrast; pictures of every view', { skip: noBrowser }, async (t) => {
  const { one, url } = await withAgents(t)
  one.agent.info = { ...one.agent.info, state: 'degraded', reasons: ['port lan: the driver takes no redirected frames; see lockstep doctor'] }
  one.agent.bgp.view.observe({ source: 'frr', scope: 'edge', at: Date.now(), ok: true, neighbours: [0, 1, 2].map(i => neighbour({ source: 'frr', vrf: 'default', peer: `169.254.0.${2 * i + 1}`, established: i === 0, fsm: i === 0 ? 'established' : i === 1 ? 'active' : 'idle', adminDown: i === 2, remoteAs: 65001 + i, since: Date.now() - 90_000 * i, description: `user-${i}`, reason: 'BGP Notification received: Cease/Administrative Shutdown' })) })
  one.agent.bgp.announced = [{ prefix: '192.0.2.80/32', vips: ['web'], announced: true, reason: 'web is up', since: Date.now() - 60_000 }, { prefix: '2001:db8::1/128', vips: ['six'], announced: false, reason: 'no real serves', since: Date.now() - 5000 }]
  one.agent.bgp.placed = [{ name: 'kernel table 179', kind: 'kernel', goodAt: null, failed: 'adding routes of table 179: no permission', failures: 2, added: 0, removed: 0 }]
  for (let i = 0; i < 30; i++) one.agent.journal.note(i % 3 === 0 ? 'cluster' : 'load-balancer', 'real-transition', `vip web-${i}`, { real: 'a', from: 'up', to: 'down' }, i % 5 === 0 ? 'warn' : i === 7 ? 'error' : 'info')
  const browser = await withBrowser(t)
  const looks = [
    ['desktop-light', { colorScheme: 'light' }], ['desktop-dark', { colorScheme: 'dark' }],
    ['phone-light', { colorScheme: 'light', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }], ['phone-dark', { colorScheme: 'dark', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }]
  ] as const
  for (const [name, options] of looks) {
    const { page, problems, says } = await openTab(t, browser, `${url}/`, options)
    await until('the page to be live', async () => await says('condition') === 'live')
    for (const view of ['overview', 'vips', 'health', 'cluster', 'bgp', 'rates', 'sessions', 'events', 'links', 'configuration']) {
      await page.evaluate(`location.hash = '#/${view}'`)
      await page.locator('nav a[aria-current=page]').waitFor()
      await new Promise((resolve) => { setTimeout(resolve, view === 'rates' ? 4500 : 400) })
      if (view === 'bgp') await until('the routes', async () => /192\.0\.2\.80\/32[^]*announced[^]*2001:db8::1\/128[^]*withdrawn/.test(await page.locator('main').innerText()) && /no permission/.test(await page.locator('.places').innerText()))
      await shoot(page, `${name}-${view}`)
      t.ok(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth'), `${name} ${view}: nothing hangs over the side`)
      const poor = await page.evaluate(contrast) as string[]
      t.same(poor, [], `${name} ${view}: every text stands out, 4.5 to 1`)
      t.equal(await page.locator('h1').count(), 1)
      t.equal(await page.locator('table:not(:has(caption)), th:not([scope]), input:not([type=checkbox]):not(label input), button:empty').count(), 0, `${view}: tables and fields have names`)
    }
    if (name === 'desktop-light') {
      await page.evaluate("location.hash = '#/vips'; document.activeElement.blur()")
      await page.keyboard.press('Tab')
      t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to content')
      await page.keyboard.press('Enter')
      t.equal(await page.evaluate('document.activeElement.id'), 'main')
      await page.keyboard.press('Tab')
      t.equal(await page.evaluate('document.activeElement.type'), 'search')
      t.not(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'none', 'where one is can be seen')
      for (const role of ['banner', 'navigation', 'main'] as const) t.equal(await page.getByRole(role).count(), 1, role)
    }
    t.same(problems, [], `${name}: the console is empty`)
    await page.close()
  }
})

/** In the page: texts whose colour is too near to what lies behind it (WCAG 2.2, 1.4.3). */
const contrast = `(() => {
  const parse = text => (text.match(/[\\d.]+/g) ?? []).map(Number)
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const behind = element => { for (let at = element; at !== null; at = at.parentElement) { const colour = getComputedStyle(at).backgroundColor; const parts = parse(colour); if (colour.startsWith('rgb') && (parts[3] ?? 1) === 1) return parts } return [255, 255, 255] }
  const poor = new Set()
  for (const element of document.querySelectorAll('body *')) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim() !== '') || element.closest('.uplot, .hidden, .skip, :disabled, .fresh, option, select') !== null || element.getClientRects().length === 0) continue
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    if (ratio < 4.5) poor.add(element.tagName + '.' + element.className + ' ' + ratio.toFixed(2) + ' ' + element.textContent.slice(0, 20))
  }
  return [...poor]
})()`
