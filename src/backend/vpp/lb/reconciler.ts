/**
 * Makes VPP's load balancer what it should be, level-triggered: reads what is there, plans, and performs the operations of each prefix in order, prefixes side
 * by side. A VIP that is refused holds up nothing but itself: its other operations are left out, and it is tried again after a time that doubles.
 */
import { causeOf } from '../../../lib/cause-of.js'
import { backOff, type Waits } from '../../../lib/back-off.js'
import type { LbDriver } from './driver.js'
import { planBetween, type Operation } from './plan.js'
import { vipKey, type Observed, type VipKey, type Wanted, type WantedVip } from './state.js'

export interface Failure { readonly vip: string, readonly operation: Operation['kind'], readonly reason: string, readonly tries: number }

export interface Pass {
  /** As VPP had it before. */
  readonly observed: Observed
  readonly done: readonly Operation[]
  /** VIPs that were given up and made anew, and why. */
  readonly recreated: ReadonlyMap<string, string>
  readonly failed: readonly Failure[]
  /** VIPs that are left alone until their time has come. */
  readonly waiting: readonly string[]
  readonly tookMs: number
}

export interface ReconcilerOptions {
  readonly driver: LbDriver
  readonly nowMs: () => number
  /** In [0, 1): spreads what is tried again. */
  readonly random: () => number
}

const WAITS: Waits = { leastMs: 1000, mostMs: 30_000 }
const SETTINGS = 'settings'

interface Trouble { readonly tries: number, readonly dueMs: number, readonly last: Omit<Failure, 'tries'> }

export class LbReconciler {
  private wanted: Wanted | null = null
  private readonly flushes = new Map<string, Set<string>>()
  private readonly trouble = new Map<string, Trouble>()
  private turn: Promise<unknown> = Promise.resolve()

  constructor (private readonly o: ReconcilerOptions) {}

  /** From the next pass on. VIPs that changed are tried at once, whatever was refused before. */
  want (wanted: Wanted): void {
    const before = new Map(this.wanted?.vips.map(vip => [vipKey(vip), vip]))
    for (const vip of wanted.vips) if (!sameVip(vip, before.get(vipKey(vip)))) this.trouble.delete(vipKey(vip))
    if (JSON.stringify(wanted.settings) !== JSON.stringify(this.wanted?.settings)) this.trouble.delete(SETTINGS)
    this.wanted = wanted
  }

  /** With the next pass the flows of these reals end. */
  flush (vip: VipKey, real: string): void {
    const key = vipKey(vip)
    this.flushes.set(key, (this.flushes.get(key) ?? new Set()).add(real))
  }

  get failures (): readonly Failure[] { return [...this.trouble.values()].map(({ tries, last }) => ({ ...last, tries })) }
  /** When what was refused is due; `null`: nothing was. */
  get dueMs (): number | null { return this.trouble.size === 0 ? null : Math.min(...[...this.trouble.values()].map(({ dueMs }) => dueMs)) }

  async read (): Promise<Observed> { return await this.o.driver.read() }

  /** One after the other. @throws what reading throws; what is refused is in the result. */
  async pass (): Promise<Pass> {
    const mine = this.turn.then(async () => await this.run())
    this.turn = mine.catch(() => undefined)
    return await mine
  }

  private async run (): Promise<Pass> {
    const began = this.o.nowMs()
    const observed = await this.o.driver.read()
    if (this.wanted === null) return { observed, done: [], recreated: new Map(), failed: [], waiting: [], tookMs: this.o.nowMs() - began } // nobody has said what should be
    const wanted = this.shaped(this.wanted)
    const flushes = new Map([...this.flushes].map(([key, reals]) => [key, new Set(reals)]))
    this.flushes.clear()
    const plan = planBetween(wanted, observed, flushes)
    const done: Operation[] = []
    const failed: Failure[] = []
    const waiting = new Set<string>()
    const still = new Set<string>()
    const settled = plan.settings === null || await this.perform(SETTINGS, plan.settings, { done, failed, waiting, still })
    if (settled) await Promise.all([...plan.prefixes.values()].map(async (operations) => { await this.prefix(operations, { done, failed, waiting, still }) }))
    for (const key of this.trouble.keys()) if (!still.has(key)) this.trouble.delete(key)
    return { observed, done, recreated: plan.recreated, failed, waiting: [...waiting], tookMs: this.o.nowMs() - began }
  }

  /** What this VPP can be asked for. */
  private shaped (wanted: Wanted): Wanted {
    if (this.o.driver.weights) return wanted
    return { ...wanted, vips: wanted.vips.map(vip => ({ ...vip, reals: new Map([...vip.reals].filter(([, weight]) => weight > 0).map(([real]) => [real, 100])) })) }
  }

  private async prefix (operations: readonly Operation[], out: Out): Promise<void> {
    const left = new Set<string>()
    for (const operation of operations) {
      if (operation.kind === 'settings') continue
      const key = vipKey(operation.vip)
      if (!left.has(key) && !await this.perform(key, operation, out)) left.add(key)
    }
  }

  /** False: the rest of the VIP has to wait. */
  private async perform (key: string, operation: Operation, { done, failed, waiting, still }: Out): Promise<boolean> {
    const known = this.trouble.get(key)
    if (known !== undefined && !still.has(key) && this.o.nowMs() < known.dueMs) {
      waiting.add(key)
      still.add(key)
      return false
    }
    try {
      await this.o.driver.perform(operation)
      done.push(operation)
      return true
    } catch (error) {
      const tries = (known?.tries ?? 0) + 1
      const last = { vip: key, operation: operation.kind, reason: causeOf(error) }
      const waitMs = backOff(WAITS, tries - 1, this.o.random())
      this.trouble.set(key, { tries, dueMs: this.o.nowMs() + waitMs, last })
      failed.push({ ...last, tries })
      still.add(key)
      return false
    }
  }
}

interface Out { readonly done: Operation[], readonly failed: Failure[], readonly waiting: Set<string>, /** Keys that failed or wait in this pass. */ readonly still: Set<string> }

function sameVip (a: WantedVip, b: WantedVip | undefined): boolean {
  return b !== undefined && a.encap === b.encap && a.targetPort === b.targetPort && a.tableLength === b.tableLength && a.sourceIpSticky === b.sourceIpSticky &&
    a.reals.size === b.reals.size && [...a.reals].every(([real, weight]) => b.reals.get(real) === weight)
}
