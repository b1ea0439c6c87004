/** A ledger with one device and its users, and an outlet that reports to it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { webcrypto } from 'node:crypto'
import type { Test } from 'tap'
import { getAddressDecoder } from '@solana/addresses'
import { LedgerDouble, addressOf, deviceBytes, userBytes, type UserShape } from '../../../../bench/bgp/ledger.js'
import { Outlet } from '../../../../src/bgp/reporting/outlet.js'
import { SolanaSink } from '../../../../src/bgp/sinks/solana/index.js'
import { bgpLedgerPrograms, type BgpSolanaSink } from '../../../../src/contract/bgp-report.js'
import type { BgpState } from '../../../../src/contract/bgp.js'
import { KeptLog, MovedClock, look, neighbour, until } from '../reporting/world.js'

export const program = bgpLedgerPrograms['localnet'] ?? ''
export const device = addressOf(1, 1)
export const user = (n: number): string => addressOf(2, n)
/** The far end of the tunnel of the nth user. */
export const peer = (n: number): string => `169.254.${n >> 7}.${(n & 127) * 2 + 1}`
export const tunnel = (n: number): UserShape['tunnel'] => [169, 254, n >> 7, (n & 127) * 2, 31]

export async function keypairFile (directory: string, mode = 0o600): Promise<{ readonly path: string, readonly address: string }> {
  const keys = await webcrypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']) as webcrypto.CryptoKeyPair
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const raw = Buffer.from(await webcrypto.subtle.exportKey('raw', keys.publicKey))
  const path = join(directory, 'key.json')
  writeFileSync(path, JSON.stringify([...pkcs8.subarray(-32), ...raw]), { mode })
  return { path, address: getAddressDecoder().decode(raw) }
}

export interface LedgerWorld {
  readonly ledger: LedgerDouble
  readonly clock: MovedClock
  readonly log: KeptLog
  readonly settings: BgpSolanaSink
  readonly publisher: string
  outlet: Outlet
  /** Another life of the agent, with the same state. */
  restart (): Promise<void>
  see (sessions: ReadonlyArray<readonly [number, BgpState]>, whole?: boolean): Promise<void>
  /** Time and slots together, 400 ms each. */
  pass (ms: number): Promise<void>
  /** Until nothing is pending, while time passes. */
  drained (): Promise<void>
}

export async function ledgerWorld (t: Test, users: number | ReadonlyArray<Partial<UserShape>>, more: Partial<BgpSolanaSink> = {}): Promise<LedgerWorld> {
  const directory = mkdtempSync(join(tmpdir(), 'bgps-'))
  const ledger = new LedgerDouble({ program, slotMs: 0 })
  const { path, address: publisher } = await keypairFile(directory)
  ledger.accounts.set(device, { owner: program, data: deviceBytes('dz1', publisher), lamports: 1 })
  ledger.accounts.set(publisher, { owner: '11111111111111111111111111111111', data: new Uint8Array(), lamports: 1e9 })
  const shapes = typeof users === 'number' ? Array.from({ length: users }, (): Partial<UserShape> => ({})) : users
  shapes.forEach((shape, n) => { ledger.accounts.set(user(n), { owner: program, data: userBytes({ index: n + 1, device, tunnel: tunnel(n), bgpStatus: 1, reportedAt: 999, ...shape }), lamports: 1 }) })
  const clock = new MovedClock()
  const log = new KeptLog()
  const settings: BgpSolanaSink = { type: 'solana', name: 'ledger', url: await ledger.listen(), program, device, keypairFile: path, dryRun: false, commitment: 'confirmed', computeUnitPrice: 0, balanceMin: 1000, ...more }
  const made = (): Outlet => new Outlet({
    sink: new SolanaSink({ settings, clock, random: () => 0.5, log, rpc: { timeoutMs: 2000, answerBytesMax: 1 << 20 } }), target: 'ledger', directory, clock, random: () => 0.5, log, wantsLook: () => {},
    timing: { graceMs: 0, debounceMs: 0, refreshMs: 6 * 3_600_000, jitter: 0, spacingMs: 0 },
  })
  const world: LedgerWorld = {
    ledger, clock, log, settings, publisher, outlet: made(),
    restart: async () => {
      await world.outlet.stop()
      world.outlet = made()
      world.outlet.start()
    },
    see: async (sessions, whole = true) => {
      await until(() => world.outlet.tallies().stage === 'ready', `ready: ${world.outlet.tallies().lastError}`)
      await world.outlet.tick(look(sessions.map(([n, state]) => neighbour(peer(n), state, { rttNs: state === 'up' ? 7_500_000 : null })), whole))
    },
    pass: async ms => {
      for (let gone = 0; gone < ms; gone += 400) {
        await clock.move(400)
        ledger.advance(1)
        await new Promise(resolve => setTimeout(resolve, 2))
      }
    },
    drained: async () => { for (let i = 0; i < 2000 && world.outlet.pending().length > 0; i++) await world.pass(400) },
  }
  t.teardown(async () => {
    await world.outlet.stop()
    await ledger.close()
    rmSync(directory, { recursive: true, force: true })
  })
  world.outlet.start()
  return world
}
