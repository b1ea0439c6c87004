/** A thousand VIPs of ten reals: applied, found to be as they should, and put right after somebody wrote into the dataplane's memory. */
import { loadCore } from '../../src/native/load.js'
import type { NativeTable } from '../../src/native/binding.js'
import { makeUserspace } from '../../test/conformance/userspace-rig.js'
import { BenchError } from '../lib/programs.js'

const RING = 1021
const CORRUPTIONS = 100

export interface ManyFigures { readonly applyMs: readonly number[], readonly noopMs: readonly number[], readonly repairMs: readonly number[] }

function configOf (vips: number, reals: number): string {
  return `vips:\n${Array.from({ length: vips }, (_, v) => `  v${v}: {address: 198.18.${v >> 8}.${v & 255}, port: 80, ring-size: ${RING}, pools: [{reals: [${Array.from({ length: reals }, (_, r) => `{address: 10.${v >> 8}.${v & 255}.${r + 1}}`).join(', ')}]}]}`).join('\n')}\n`
}

export async function many (vips: number, reals: number, repeats: number, signal: AbortSignal): Promise<ManyFigures> {
  const rig = await makeUserspace({ capacity: 1024, arena: 1 << 18 })
  const { dataplane, table } = rig
  const figures = { applyMs: [] as number[], noopMs: [] as number[], repairMs: [] as number[] }
  const timed = async <T>(into: number[], work: () => Promise<T>): Promise<T> => {
    const began = performance.now()
    const result = await work()
    into.push(performance.now() - began)
    return result
  }
  try {
    await dataplane.start(signal)
    for (let i = 0; i < repeats; i++) {
      // Every ring is another one: a real of each VIP is gone every other time.
      const text = configOf(vips, reals - i % 2)
      await timed(figures.applyMs, async () => await dataplane.config.apply(rig.desired(text), i + 1, signal))
      const none = await timed(figures.noopMs, async () => await dataplane.loadBalancer.reconcile())
      if (none.vips !== vips || none.rings.length > 0 || none.configBytes > 0) throw new BenchError(`what nobody touched is not as it should be: ${JSON.stringify(none)}`)
      const wrong = corrupt(table)
      const { rings, configBytes } = await timed(figures.repairMs, async () => await dataplane.loadBalancer.reconcile())
      if (rings.reduce((n, { entries }) => n + entries, 0) !== wrong.entries || configBytes !== wrong.bytes) throw new BenchError(`${wrong.entries} entries and ${wrong.bytes} bytes were made wrong, and found: ${JSON.stringify([rings, configBytes])}`)
      const after = await dataplane.loadBalancer.reconcile()
      if (after.rings.length > 0 || after.configBytes > 0) throw new BenchError('not everything was put right')
      signal.throwIfAborted()
    }
  } finally {
    await rig.close()
  }
  return figures
}

/** Nine of ten into rings, one of ten into the compiled configuration. */
function corrupt (table: NativeTable): { readonly entries: number, readonly bytes: number } {
  const rings = [...table.rings()].sort(() => Math.random() - 0.5).slice(0, CORRUPTIONS * 0.9)
  for (const { element, entries } of rings) {
    const ring = new Uint8Array(entries * 2)
    table.readArena(element, ring)
    const at = 2 * Math.floor(Math.random() * entries)
    ring[at] = (ring[at] ?? 0) ^ (1 + Math.floor(Math.random() * 255))
    table.writeArena(element, ring)
  }
  const bank = new Uint8Array(loadCore().configBytes)
  table.readConfig(bank)
  const places = new Set(Array.from({ length: CORRUPTIONS - rings.length }, () => 64 + Math.floor(Math.random() * (bank.length - 64))))
  for (const at of places) bank[at] = (bank[at] ?? 0) ^ 0x10
  table.writeConfig(bank)
  return { entries: rings.length, bytes: places.size }
}
