/** Debian's Chromium, driven by playwright-core, and where screenshots go. Nothing is left: its profile is in the test's own folder. */
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContextOptions, type CDPSession, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { root } from '../agent/agent-process.js'

const program = '/usr/bin/chromium'
/** For `skip`. */
export const noBrowser: string | false = existsSync(program) ? false : 'chromium is missing (apt-get install chromium)'

export async function withBrowser (t: Test): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] })
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

/** `expected`: what the console may say, as a request that fails on purpose. */
export async function openTab (t: Test, browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options })
  t.teardown(async () => { await context.close() })
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', (error) => { problems.push(error.message) })
  page.on('console', (message) => { if (message.type() === 'error' && !/Failed to load resource|ERR_CONNECTION|net::/.test(message.text())) problems.push(message.text()) })
  await page.goto(url)
  return { page, cdp: await context.newCDPSession(page), problems, says: async name => await page.evaluate(`document.documentElement.dataset[${JSON.stringify(name)}]`) }
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
