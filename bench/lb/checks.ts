/** Ten thousand TCP targets on loopback, each probed every second: by a checker as a health thread runs it, and by HAProxy. */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { getSystemErrorName } from 'node:util'
import type { CheckTarget, HealthCheck } from '../../src/contract/health.js'
import { Checker } from '../../src/health/checker.js'
import { tcpProbes } from '../../src/health/probes/tcp.js'
import { loadCore } from '../../src/native/load.js'
import { monotonicMs } from '../../src/lib/monotonic.js'
import { quantile } from '../lib/samples.js'
import { ticksOf } from '../peers/conntrackd.js'

const INTERVAL_MS = 1000
/** Targets have the first turn of their lives behind them. */
const WARM_MS = 3000
const TICKS_PER_S = 100 // USER_HZ of Linux

export interface CheckFigures {
  /** Of one core, per cent. */
  readonly corePct: number
  readonly perS: number
  readonly perCpuS: number
}
export interface OurChecks extends CheckFigures {
  /** Distance of a probe from a second after the one before. */
  readonly jitterP99Ms: number
  readonly failed: number
}

const addressOf = (i: number): string => `127.1.${i >> 8}.${i & 255}`

async function portOf (server: ChildProcess): Promise<number> {
  return await new Promise((resolve, reject) => {
    server.once('message', ({ port }: { readonly port: number }) => { resolve(port) })
    server.once('exit', () => { reject(new Error('the server of the targets ended')) })
  })
}

/** Connections that this network namespace began: HAProxy resets its own before the other side accepts them. */
function connections (): number {
  const [names = '', values = ''] = readFileSync('/proc/net/snmp', 'utf8').split('\n').filter((line) => line.startsWith('Tcp:'))
  return Number(values.split(' ')[names.split(' ').indexOf('ActiveOpens')])
}

async function withServer<T> (run: (port: number) => Promise<T>): Promise<T> {
  const server = fork(fileURLToPath(new URL('./accept-server.js', import.meta.url)), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  try {
    return await run(await portOf(server))
  } finally {
    server.kill('SIGKILL')
  }
}

export async function ourChecks (targets: number, seconds: number, signal: AbortSignal): Promise<OurChecks> {
  return await withServer(async (port) => {
    const check: HealthCheck = {
      name: 'tcp', type: 'tcp', port, intervalMs: INTERVAL_MS, fastIntervalMs: INTERVAL_MS, downIntervalMs: INTERVAL_MS, timeoutMs: 900, rise: 2, fall: 3, jitterPct: 0, netns: null, source: { v4: null, v6: null },
      tls: null, http: null, dns: null, grpcService: null, argv: null, agent: null, passive: 0
    }
    const before = new Float64Array(targets)
    const off: number[] = []
    let measuring = false
    const list = Array.from({ length: targets }, (_, i): CheckTarget => ({ id: String(i), check, address: addressOf(i), port }))
    const tcp = tcpProbes(new (loadCore().Connects)(), (errno) => getSystemErrorName(-errno))
    const checker = new Checker({
      now: monotonicMs, wall: Date.now, random: Math.random, onTransition: () => { /* counted below */ }, onShare: () => { /* nobody has an agent */ },
      after: (ms, run) => {
        const timer = setTimeout(run, ms)
        return () => { clearTimeout(timer) }
      },
      probe: (target, done) => {
        const [i, now] = [Number(target.id), monotonicMs()]
        if (measuring && before[i] !== 0) off.push(Math.abs(now - (before[i] ?? 0) - INTERVAL_MS))
        before[i] = now
        return tcp.probe(target, done)
      }
    })
    try {
      checker.replace(list)
      await sleep(WARM_MS, null, { signal })
      measuring = true
      const [count, cpu, at] = [connections(), process.cpuUsage(), performance.now()]
      const failedBefore = checker.status().reduce((n, { failed }) => n + failed, 0)
      await sleep(seconds * 1000, null, { signal })
      measuring = false
      const used = process.cpuUsage(cpu)
      const passed = connections() - count
      const [wallS, cpuS] = [(performance.now() - at) / 1000, (used.user + used.system) / 1e6]
      return { corePct: 100 * cpuS / wallS, perS: passed / wallS, perCpuS: passed / cpuS, jitterP99Ms: quantile(off, 0.99), failed: checker.status().reduce((n, { failed }) => n + failed, 0) - failedBefore }
    } finally {
      checker.close()
      tcp.close()
    }
  })
}

/** @throws when there is no haproxy, or it ends. */
export async function haproxyChecks (targets: number, seconds: number, signal: AbortSignal): Promise<CheckFigures> {
  return await withServer(async (port) => {
    const directory = mkdtempSync(join(tmpdir(), 'ls-haproxy-'))
    const file = join(directory, 'haproxy.cfg')
    writeFileSync(file, ['global', '  nbthread 1', '  maxconn 100', 'defaults', '  mode tcp', '  timeout connect 900ms', '  timeout client 10s', '  timeout server 10s', 'frontend none', `  bind ${join(directory, 'none.sock')}`, '  default_backend targets', 'backend targets',
      ...Array.from({ length: targets }, (_, i) => `  server s${i} ${addressOf(i)}:${port} check inter ${INTERVAL_MS} rise 2 fall 3`), ''].join('\n'))
    const child = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'ignore'], signal })
    let ended: Error | null = null
    child.on('error', (error) => { ended = error })
    child.on('exit', (code) => { ended ??= new Error(`haproxy ended with ${code ?? 'a signal'}`) })
    const ticks = (): number => {
      if (ended !== null) throw ended
      return ticksOf(readFileSync(`/proc/${child.pid ?? 0}/stat`, 'utf8'))
    }
    try {
      await sleep(2 * WARM_MS, null, { signal }) // it reads its configuration first
      const [count, cpu, at] = [connections(), ticks(), performance.now()]
      await sleep(seconds * 1000, null, { signal })
      const cpuS = (ticks() - cpu) / TICKS_PER_S
      const passed = connections() - count
      const wallS = (performance.now() - at) / 1000
      return { corePct: 100 * cpuS / wallS, perS: passed / wallS, perCpuS: passed / cpuS }
    } finally {
      child.kill('SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    }
  })
}
