/** dpdk-testpmd swapping MAC addresses between ports of net_null: CPU time of its forwarding lcores per packet, over intervals of a second. */
import { spawn } from 'node:child_process'
import { readFileSync, readdirSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { noSamples, type Samples } from '../lib/samples.js'

const INTERVAL_MS = 1000

/** CPU nanoseconds of the threads that forward. */
function spent (pid: number): number {
  const tasks = `/proc/${pid}/task`
  return readdirSync(tasks).filter(task => readFileSync(`${tasks}/${task}/comm`, 'utf8').startsWith('rte-worker') || readFileSync(`${tasks}/${task}/comm`, 'utf8').startsWith('lcore-worker'))
    .reduce((sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]), 0)
}

/** One pair of ports, each forwarded by an lcore of its own where there are two. */
export async function testpmdSamples (lcores: number, repeats: number, signal?: AbortSignal): Promise<Samples> {
  const prefix = `lockstep-testpmd-${process.pid}`
  const child = spawn('stdbuf', [ // it holds its lines back when it writes to a pipe
    '-oL', 'dpdk-testpmd', '--no-huge', '-m', '256', '--no-pci', '--no-telemetry', '--no-shconf', `--file-prefix=${prefix}`, `--lcores=(0-${lcores})@(0-1)`, '--vdev=net_null0', '--vdev=net_null1', '--',
    '-i', `--nb-cores=${lcores}`, '--burst=32', '--forward-mode=macswap', '--total-num-mbufs=16384'
  ], { stdio: ['pipe', 'pipe', 'ignore'], ...signal === undefined ? {} : { signal } })
  let out = ''
  let gone = false
  child.stdout.setEncoding('utf8').on('data', (text: string) => { out += text })
  const ended = new Promise<void>(resolve => {
    child.on('error', () => { gone = true; resolve() })
    child.on('close', () => { gone = true; resolve() })
  })
  child.stdin.on('error', () => undefined) // it is gone, which is seen
  const said = async (pattern: RegExp, from: number): Promise<boolean> => {
    for (let i = 0; i < 500 && !gone; i++) {
      if (pattern.test(out.slice(from))) return true
      await sleep(20)
    }
    return false
  }
  const packets = async (): Promise<number | null> => {
    const from = out.length
    child.stdin.write('show fwd stats all\n')
    if (!await said(/Accumulated forward statistics for all ports\+*\s+RX-packets: \d+[^]*\+{20}/, from)) return null
    return Number(/Accumulated forward statistics for all ports\+*\s+RX-packets: (\d+)/.exec(out.slice(from))?.[1])
  }
  const values: number[] = []
  try {
    if (!await said(/testpmd>/, 0)) return { ...noSamples, notes: { testpmd_skipped: 'dpdk-testpmd is not installed, or does not start here (apt install dpdk)' } }
    child.stdin.write('start\n')
    await sleep(INTERVAL_MS)
    for (let n = 0; n < repeats; n++) {
      const [before, began] = [await packets(), spent(child.pid ?? 0)]
      await sleep(INTERVAL_MS)
      const [after, ns] = [await packets(), spent(child.pid ?? 0) - began]
      if (before !== null && after !== null && after > before) values.push(ns / (after - before))
    }
    child.stdin.end('stop\nquit\n')
    await Promise.race([ended, sleep(3000)])
  } finally {
    if (!gone) child.kill('SIGKILL')
    await ended
    rmSync(`/var/run/dpdk/${prefix}`, { recursive: true, force: true })
  }
  return { ...noSamples, values: new Map([[`testpmd_${lcores}_ns`, values]]) }
}
