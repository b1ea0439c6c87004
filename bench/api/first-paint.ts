/**
 * How soon the web page shows something: from the beginning of its load to the frame that has rows of a table of a thousand VIPs, in a browser that has nothing of it yet, over a
 * gateway as a process of its own; and what of the page crosses the network.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { median } from '../lib/samples.js'

const program = '/usr/bin/chromium'
const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const bundle = fileURLToPath(new URL('../../src/web/page/', import.meta.url))
const serverFile = fileURLToPath(new URL('./server.js', import.meta.url))

const VIPS = 1000
const REALS_PER_VIP = 4

export interface FirstPaint { readonly figures: { readonly first_paint_ms?: number, readonly bundle_kb_gzip?: number }, readonly notes: Readonly<Record<string, string>> }

export async function firstPaint (runs: number): Promise<FirstPaint> {
  if (!existsSync(join(bundle, 'index.html'))) return { figures: {}, notes: { first_paint_ms: 'not measured: the web page was not built (npm run build)' } }
  const size = { bundle_kb_gzip: bundleBytes() / 1000 }
  if (!existsSync(program)) return { figures: size, notes: { first_paint_ms: 'not measured: chromium is missing (apt-get install chromium)' } }
  const directory = mkdtempSync(join(tmpdir(), 'ls-paint-'))
  chmodSync(directory, 0o755) // a gateway that gives up root still has to come in
  const socketPath = join(directory, 'agent.sock')
  const agent = fork(serverFile, [socketPath, '1024', String(VIPS * REALS_PER_VIP), String(REALS_PER_VIP)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  let gateway: ChildProcess | null = null
  try {
    await new Promise<void>((resolve, reject) => {
      agent.once('message', () => { resolve() })
      agent.once('exit', (code) => { reject(new Error(`the server process ended with ${code ?? 'a signal'}`)) })
    })
    gateway = spawn(process.execPath, [command, 'gateway', '--server', `edge=unix:${socketPath}`, '--http', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const url = await urlOf(gateway)
    const samples = await paints(`${url}#/vips`, runs)
    return { figures: { first_paint_ms: median(samples), ...size }, notes: { first_paint_ms: `${VIPS} VIPs of ${REALS_PER_VIP} reals, nothing kept, ${runs} loads` } }
  } finally {
    gateway?.kill('SIGTERM')
    if (agent.connected) agent.disconnect()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Of all files that a browser asks for. */
const bundleBytes = (): number => readdirSync(bundle, { recursive: true, encoding: 'utf8' }).map(name => join(bundle, name)).filter(file => statSync(file).isFile()).reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0)

async function urlOf (gateway: ChildProcess): Promise<string> {
  return await new Promise((resolve, reject) => {
    let out = ''
    gateway.stdout?.setEncoding('utf8').on('data', (part: string) => {
      out += part
      const [, url] = /(http:\/\/127\.0\.0\.1:\d+\/)/.exec(out) ?? []
      if (url !== undefined) resolve(url)
    })
    gateway.once('exit', (code) => { reject(new Error(`the gateway ended with ${code ?? 'a signal'}: ${out}`)) })
  })
}

/** In the page: the end of the frame in which the first rows of VIPs stand, since the load began. */
const watcher = `window.painted = new Promise(done => {
  const seen = new MutationObserver(() => {
    if (document.querySelectorAll('tr.vip').length < 10) return
    seen.disconnect()
    requestAnimationFrame(() => { const { port1, port2 } = new MessageChannel(); port1.onmessage = () => { done(performance.now()) }; port2.postMessage(0) })
  })
  seen.observe(document, { subtree: true, childList: true })
})`

async function paints (url: string, runs: number): Promise<number[]> {
  const { chromium } = await import('playwright-core')
  const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] })
  try {
    const samples: number[] = []
    for (let i = 0; i <= runs; i++) {
      const context = await browser.newContext({ viewport: { width: 1360, height: 860 } })
      const page = await context.newPage()
      await page.addInitScript(watcher)
      await page.goto(url)
      const ms = await page.evaluate('window.painted') as number
      if (i > 0) samples.push(ms) // the first one also waits for the gateway to follow the agent
      await context.close()
    }
    return samples
  } finally { await browser.close() }
}
