/** From one forwarder to another, port by port, while traffic flows: each is received from at every moment. */
import type { BackendName } from '../../contract/dataplane.js'
import type { Desired, Real, Vip } from '../../contract/desired.js'
import { classOf, LockstepError } from '../../contract/errors.js'
import type { SwitchEvent, SwitchResult } from '../../contract/services.js'
import { causeOf } from '../../lib/cause-of.js'
import type { Forwarder, PortFact } from './forwarder.js'
import { cannotForce, SwitchLoses, switchLosses } from './losses.js'
import type { OpenPort } from './ports.js'

export interface Switch {
  readonly from: Forwarder
  readonly to: Forwarder
  /** `null`: no configuration, so no ports. */
  readonly desired: Desired | null
  readonly ports: readonly OpenPort[]
  /** Whose interface is not there: nobody can take them over until it is. */
  readonly gone: readonly OpenPort[]
  readonly facts: Readonly<Record<string, PortFact>>
  /** Shares of new flows now, for a dataplane that is programmed. */
  readonly weight: (vip: Vip, real: Real) => number
  /** Live ones. */
  readonly sessions: () => number
  /** Go on with what is lost, and say what it is. */
  readonly force: boolean
  /** Say what would be lost, or refuse; touch nothing, tell nobody. */
  readonly dryRun: boolean
  readonly tell: (event: SwitchEvent) => void
}

/** Told as events: begun, each port, and how it ended. @throws what refused it, before anything is touched, or what failed, when the ports are given back. */
export async function switchForwarder ({ from, to, desired, ports, gone, facts, weight, sessions, force, dryRun, tell }: Switch): Promise<SwitchResult> {
  const began = performance.now()
  const way = { from: from.name, to: to.name }
  const lost = switchLosses(from, to, desired, sessions())
  const refused = lost.length > 0 && (!force || cannotForce(to, lost)) ? new SwitchLoses(from.name, to.name, lost, force) : null
  if (dryRun) {
    if (refused !== null) throw refused
    return { ...way, ports: ports.map(p => ({ name: p.port.name, handOverUs: 0 })), sessions: sessions(), lost, totalMs: ms(began) }
  }
  try {
    if (refused !== null) throw refused
    if (desired !== null) await to.guard(desired, ports, facts)
  } catch (error) {
    await attempt([], to.name, async () => { await to.unguard() })
    tell(refusal(way, error))
    throw error
  }
  tell({ event: 'switch_begin', ...way, ports: ports.map(p => p.port.name), lost })
  const moved: Array<{ name: string, handOverUs: number }> = []
  const handed: OpenPort[] = []
  const warnings: string[] = []
  try {
    await to.start(false)
    const missing = to.program?.missing() ?? ''
    if (missing !== '') throw new LockstepError('unavailable', 'LS_B_SWITCH_DOWN', 'the other backend cannot take over now', { object: `switch from ${from.name} to ${to.name}`, found: missing })
    if (desired !== null) warnings.push(...await to.program?.follow(desired, weight) ?? []) // it has all of it before the first packet
    for (const port of ports) await to.open(port)
    for (const port of ports) {
      const at = performance.now()
      handed.push(port)
      await to.enable(port)
      await from.handOver(port, from.copies && to.copies)
      const handOverUs = Math.round((performance.now() - at) * 1000)
      moved.push({ name: port.port.name, handOverUs })
      tell({ event: 'switch_port', ...way, port: port.port.name, handOverUs })
    }
  } catch (error) {
    const left = await giveBack(from, to, ports, handed)
    tell({ event: 'switch_failed', ...way, back: handed.map(p => p.port.name).reverse(), left, reason: causeOf(error), totalMs: ms(began) })
    throw error
  }
  // `to` forwards, whatever remains of the other
  await attempt(warnings, `what ${from.name} left`, async () => {
    for (const port of [...ports, ...gone]) await from.close(port)
    await from.leave()
  })
  if (desired !== null) await attempt(warnings, 'ports', async () => { warnings.push(...await to.settle(ports)) })
  const result: SwitchResult = { ...way, ports: moved, sessions: sessions(), lost, totalMs: ms(began) }
  tell({ event: 'switch_end', ...way, ports: moved.length, longestHandOverUs: Math.max(0, ...moved.map(p => p.handOverUs)), sessions: result.sessions, totalMs: result.totalMs, lost: lost.length, warnings })
  return result
}

/** In reverse, and all of it: what one step cannot undo does not keep the next from trying. Returns what could not be undone. */
async function giveBack (from: Forwarder, to: Forwarder, ports: readonly OpenPort[], handed: readonly OpenPort[]): Promise<string[]> {
  const left: string[] = []
  for (const port of [...handed].reverse()) await attempt(left, `port ${port.port.name}`, async () => { await from.enable(port) })
  for (const port of ports) await attempt(left, `port ${port.port.name}`, async () => { await to.close(port) })
  await attempt(left, to.name, async () => { await to.leave() })
  return left
}

async function attempt (failed: string[], what: string, run: () => void | Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    failed.push(`${what}: ${causeOf(error)}`)
  }
}

const ms = (began: number): number => Math.round(performance.now() - began)

/** As an event, also for one that was refused before there were forwarders to ask. */
export const refusal = (way: { readonly from: BackendName, readonly to: BackendName }, error: unknown): SwitchEvent =>
  ({ event: 'switch_refused', ...way, class: classOf(error), reason: causeOf(error), lost: error instanceof SwitchLoses ? error.lost : [] })
