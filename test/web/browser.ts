/** Debian's Chromium, driven by playwright-core, and where screenshots go. Nothing is left: its profile is in the test's own folder. */
import { spawn } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type CDPSession, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { root } from '../agent/agent-process.js'

const program = '/usr/bin/chromium'
const flags = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
const desktop = { width: 1360, height: 860 }
/** For `skip`. */
export const noBrowser: string | false = existsSync(program) ? false : 'chromium is missing (apt-get install chromium)'

export async function withBrowser (t: Test): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: program, args: flags })
  t.teardown(async () => { await browser.close() })
  return browser
}

export interface Tab {
  readonly page: Page
  readonly cdp: CDPSession
  /** What the page says of itself: seq, gaps, condition, connections, drifts. */
  readonly says: (name: string) => Promise<string>
  /** Errors of the page, and what its policy forbade. */
  readonly problems: readonly string[]
}

export async function openTab (t: Test, browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Tab> {
  const context = await browser.newContext({ viewport: desktop, ...options })
  t.teardown(async () => { await context.close() })
  return await tabOf(context, await context.newPage(), url)
}

async function tabOf (context: BrowserContext, page: Page, url: string): Promise<Tab> {
  const problems: string[] = []
  page.on('pageerror', (error) => { problems.push(error.message) })
  page.on('console', (message) => { if (message.type() === 'error' && !/Failed to load resource|ERR_CONNECTION|net::/.test(message.text())) problems.push(message.text()) })
  await page.goto(url)
  return { page, cdp: await context.newCDPSession(page), problems, says: async name => await page.evaluate(`document.documentElement.dataset[${JSON.stringify(name)}]`) }
}

export interface Sleeper extends Tab {
  /** Hidden, and frozen: nothing of it runs. */
  readonly sleep: () => Promise<void>
  /** Resumed, and shown a moment later. */
  readonly wake: () => Promise<void>
}

/** A tab that can sleep. Of a browser of its own: in one that playwright starts every page is taken for looked at, and such a page is never frozen. */
export async function openSleeper (t: Test, url: string): Promise<Sleeper> {
  const profile = mkdtempSync(join(tmpdir(), 'ls-chromium-'))
  const child = spawn(program, ['--headless', ...flags, '--no-first-run', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise<void>((resolve) => { child.on('close', () => { resolve() }) })
  t.teardown(async () => {
    child.kill('SIGTERM')
    await ended
    rmSync(profile, { recursive: true, force: true, maxRetries: 10 })
  })
  const endpoint = await new Promise<string>((resolve, reject) => {
    let out = ''
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      out += part
      const [, found] = /listening on (ws:\S+)/.exec(out) ?? []
      if (found !== undefined) resolve(found)
    })
    void ended.then(() => { reject(new Error(`chromium ended: ${out}`)) })
  })
  const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true })
  t.teardown(async () => { await browser.close() })
  const [context] = browser.contexts()
  if (context === undefined) throw new Error('chromium has no context')
  const page = context.pages()[0] ?? await context.newPage()
  await page.setViewportSize(desktop)
  const tab = await tabOf(context, page, url)
  const looked = async (enabled: boolean): Promise<void> => { await tab.cdp.send('Emulation.setFocusEmulationEnabled', { enabled }) }
  const become = async (state: 'frozen' | 'active'): Promise<void> => { await tab.cdp.send('Page.setWebLifecycleState', { state }) }
  await looked(true)
  return {
    ...tab,
    sleep: async () => {
      await looked(false)
      await become('frozen')
    },
    wake: async () => {
      await become('active')
      await looked(true)
    }
  }
}

/** Into .cache/screenshots, to be looked at; nowhere when this user may not write there. */
export async function shoot (page: Page, name: string): Promise<void> {
  const directory = join(root, '.cache/screenshots')
  try {
    mkdirSync(directory, { recursive: true })
    accessSync(directory, constants.W_OK)
  } catch { return }
  await page.screenshot({ path: join(directory, `${name}.png`) })
}
