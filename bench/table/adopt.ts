/**
 * Adoption: a process that holds a table of pinned BPF maps with a million live sessions is killed; how long until its successor has opened the maps, adopted
 * (R6, with the grace of programs that forward meanwhile) and made its first drain. Run as a program it is the process that is killed.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { loadCore } from '../../src/native/load.js'
import { loadEbpf } from '../../src/native/load-ebpf.js'
import type { NativeEbpf } from '../../src/native/binding-ebpf.js'
import type { NativeTable } from '../../src/native/binding.js'
import { capacityFor, fill } from '../api/filled-table.js'
import { BenchError } from '../lib/programs.js'
import type { Samples } from '../lib/samples.js'

function openMaps (folder: string, sessions: number): NativeEbpf {
  const { addon, reason } = loadEbpf()
  if (addon === null) throw new BenchError(reason)
  return new addon.Ebpf(folder, loadCore().tableHeader({ capacity: capacityFor(sessions), cpus: cpus().length, threads: 2, arena: 0 }))
}

function tableOver (maps: NativeEbpf): NativeTable {
  const { existed, regions } = maps.info()
  maps.freer(5000)
  return new (loadCore().Table)({ regions, created: !existed, programs: existed })
}

/** `null`: this host cannot. */
export async function adoptSamples (sessions: number, repeats: number, signal?: AbortSignal): Promise<Samples | null> {
  const { addon } = loadEbpf()
  if (addon === null || process.getuid?.() !== 0 || !addon.probe().every(f => f.ok || !f.needed)) return null
  const folder = `/sys/fs/bpf/lockstep/bench-${process.pid}`
  const times: number[] = []
  const whole: number[] = []
  for (let n = 0; n < repeats && signal?.aborted !== true; n++) {
    const holder = spawn(process.execPath, [fileURLToPath(import.meta.url), folder, String(sessions)], { stdio: ['pipe', 'pipe', 'inherit'] })
    try {
      await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit').then(() => { throw new BenchError(`the process that holds the table ended before it was ready: exit code ${holder.exitCode}`) })])
      holder.kill('SIGKILL')
      await once(holder, 'exit')
      const out = new Uint8Array(1 << 20)
      const begun = performance.now()
      const maps = openMaps(folder, sessions)
      const table = tableOver(maps)
      table.drain(out)
      times.push(performance.now() - begun)
      const { faults, live } = await table.verify()
      whole.push(faults.length === 0 && live === sessions ? 1 : 0)
      table.close()
      maps.unpublish()
      maps.close()
    } finally {
      holder.kill('SIGKILL')
      addon.remove(folder)
    }
  }
  return { values: new Map([['adopt_ms', times], ['adopt_ok', whole]]), notes: {} }
}

const [, program, folder, sessions] = process.argv
if (program === fileURLToPath(import.meta.url) && folder !== undefined) {
  const maps = openMaps(folder, Number(sessions))
  fill(tableOver(maps), Number(sessions))
  maps.publish()
  process.stdout.write('ready\n')
  process.stdin.resume() // until it is killed, or whoever started it has ended
}
