/**
 * Telling BGP sessions to a ledger: a node on loopback that verifies signatures and runs the program's rules, its slots as many times shorter as `slot_scale` says.
 *
 *   submit_per_s      1 000 changes in batches, each watched until it is confirmed, which is the default; in time of a real ledger (slots of 400 ms)
 *   submit_finalized_per_s   the same, watched until finalized
 *   serial_per_s      one transaction after another, watched until it is finalized, as the reference does it; a sample. serial_confirmed_per_s: until it is confirmed
 *   submit_speedup    batches over one after another, both until finalized; submit_speedup_confirmed: both until confirmed
 *   read_ms           one reading of 10 000 neighbours of a bgpd, whole; track_ms: what follows from it; block_ms: the longest that the thread was not free
 *   machine_tick_ms   one look at 10 000 subjects of which 1 % have changed; machine_bytes_each: memory for one of them
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { webcrypto } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { getAddressDecoder } from '@solana/addresses'
import type { BgpNeighbourStatus } from '../../src/contract/bgp.js'
import { bgpLedgerPrograms } from '../../src/contract/bgp-report.js'
import { Outlet } from '../../src/bgp/reporting/outlet.js'
import { steadyClock } from '../../src/bgp/reporting/clock.js'
import { step, type SubjectMemory } from '../../src/bgp/reporting/machine.js'
import { SLOT_MS, SolanaSink } from '../../src/bgp/sinks/solana/index.js'
import { readKeypair } from '../../src/bgp/sinks/solana/keypair.js'
import { LedgerRpc, rpcDefaults } from '../../src/bgp/sinks/solana/rpc.js'
import { signStatuses } from '../../src/bgp/sinks/solana/transaction.js'
import { heapInUse } from '../lib/garbage.js'
import { BenchError } from '../lib/programs.js'
import { figuresOf, median, type SuiteResult } from '../lib/samples.js'
import { measureReading } from './reading.js'
import { LedgerDouble, addressOf, deviceBytes, userBytes } from './ledger.js'

export interface BgpBenchOptions { readonly quick: boolean, readonly repeats: number, readonly progress: (text: string) => void, readonly signal: AbortSignal }

/** Real slots over those of the node here. */
const SLOT_SCALE = 20
const CHANGES = 1000
const SUBJECTS = 10_000
/** Both commitments: what is compared has been watched until the same moment. */
type Commitment = 'confirmed' | 'finalized'
/** The reference's waits: between looks for a signature, and between looks for finality. */
const SERIAL_POLL_MS = { seen: 250, final: 1000 }

const program = bgpLedgerPrograms['localnet'] ?? ''
const device = addressOf(1, 1)
const quiet = { warn: (text: string): void => { process.stderr.write(`bench: ${text}\n`) }, info: (): void => {}, debug: (): void => {} }

export async function bench ({ quick, repeats, progress, signal }: BgpBenchOptions): Promise<SuiteResult> {
  const directory = mkdtempSync(join(tmpdir(), 'bgpb-'))
  try {
    const serialCount = quick ? 4 : 20
    const measured = async (commitment: Commitment): Promise<{ readonly perS: number, readonly transactions: number, readonly serialPerS: number }> => {
      const changes = quick && commitment === 'finalized' ? CHANGES / 5 : CHANGES
      progress(`${changes} changes in batches until ${commitment}, slots ${SLOT_SCALE} times as fast`)
      const { seconds, transactions } = await batches(directory, commitment, changes, signal)
      progress(`${serialCount} changes one after another until ${commitment}`)
      return { perS: changes / seconds, transactions, serialPerS: 1 / await serially(directory, commitment, serialCount, signal) }
    }
    const [confirmed, final] = [await measured('confirmed'), await measured('finalized')]
    progress(`looks at ${SUBJECTS} subjects`)
    const looks = ticks(repeats)
    progress(`readings of ${SUBJECTS} neighbours`)
    const reading = await measureReading({ neighbours: SUBJECTS, looks: quick ? 5 : 20, changing: 10 })
    return {
      suite: 'bgp',
      figures: figuresOf({ submit_speedup: final.perS / final.serialPerS, submit_speedup_confirmed: confirmed.perS / confirmed.serialPerS, submit_per_s: confirmed.perS, submit_finalized_per_s: final.perS, submit_transactions: confirmed.transactions, serial_per_s: final.serialPerS, serial_confirmed_per_s: confirmed.serialPerS, serial_sample: serialCount, slot_scale: SLOT_SCALE, machine_tick_ms: looks.tickMs, machine_bytes_each: looks.bytesEach, machine_subjects: SUBJECTS, read_ms: reading.readMs.p50, track_ms: reading.trackMs.p50, block_ms: reading.longestBlockMs, neighbour_bytes_each: reading.heapBytesEach }),
      notes: { method: `a JSON-RPC node in this process; slots of ${SLOT_MS / SLOT_SCALE} ms stand for ${SLOT_MS} ms, confirmed after 2, final after 32; rates are per second of a real ledger, waits between questions scaled alike; submit_speedup: both sides watch until finalized, submit_speedup_confirmed: both until confirmed` },
      spread: {},
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

interface World { readonly ledger: LedgerDouble, readonly url: string, readonly keypairFile: string, readonly users: readonly string[] }

async function world (directory: string, name: string, count: number): Promise<World> {
  const keys = await webcrypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']) as webcrypto.CryptoKeyPair
  const raw = Buffer.from(await webcrypto.subtle.exportKey('raw', keys.publicKey))
  const keypairFile = join(directory, `key-${name}.json`)
  writeFileSync(keypairFile, JSON.stringify([...Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).subarray(-32), ...raw]), { mode: 0o600 })
  const publisher = getAddressDecoder().decode(raw)
  const ledger = new LedgerDouble({ program, slotMs: SLOT_MS / SLOT_SCALE })
  ledger.accounts.set(device, { owner: program, data: deviceBytes('dz1', publisher), lamports: 1 })
  ledger.accounts.set(publisher, { owner: '11111111111111111111111111111111', data: new Uint8Array(), lamports: 1e12 })
  const users = Array.from({ length: count }, (_, n) => addressOf(2, n))
  users.forEach((id, n) => { ledger.accounts.set(id, { owner: program, data: userBytes({ index: n + 1, device, tunnel: [169, 254, n >> 7, (n & 127) * 2, 31], bgpStatus: 1, reportedAt: 1000 }), lamports: 1 }) })
  return { ledger, url: await ledger.listen(), keypairFile, users }
}

/** Seconds of a real ledger, from the look that sees the changes until the last of them is as firm as that. */
async function batches (directory: string, commitment: Commitment, changes: number, signal: AbortSignal): Promise<{ readonly seconds: number, readonly transactions: number }> {
  const { ledger, url, keypairFile, users } = await world(directory, `batches-${commitment}`, changes)
  const sink = new SolanaSink({
    settings: { type: 'solana', name: 'bench', url, program, device, keypairFile, dryRun: false, commitment, computeUnitPrice: 0, balanceMin: 0 },
    clock: steadyClock, random: Math.random, log: quiet, pollMs: 500 / SLOT_SCALE,
  })
  const outlet = new Outlet({ sink, target: `bench ${commitment}`, timing: { graceMs: 0, debounceMs: 0, refreshMs: 1e9, jitter: 0, spacingMs: 0 }, directory, clock: steadyClock, random: Math.random, log: quiet, wantsLook: () => {} })
  try {
    outlet.start()
    while (outlet.tallies().stage !== 'ready') await wait(5, undefined, { signal })
    const began = performance.now()
    await outlet.tick({ neighbours: users.map((_, n) => status(`169.254.${n >> 7}.${(n & 127) * 2 + 1}`)), whole: true })
    while (outlet.pending().length > 0) await wait(2, undefined, { signal })
    const seconds = (performance.now() - began) / 1000 * SLOT_SCALE
    if (ledger.writes.length !== changes || new Set(ledger.writes.map(({ user }) => user)).size !== changes) throw new BenchError(`${ledger.writes.length} writes for ${changes} changes`)
    return { seconds, transactions: ledger.wires.length }
  } finally {
    await outlet.stop()
    await ledger.close()
  }
}

/** Seconds of a real ledger for one change. */
async function serially (directory: string, commitment: Commitment, count: number, signal: AbortSignal): Promise<number> {
  const { ledger, url, keypairFile, users } = await world(directory, `serial-${commitment}`, count)
  try {
    const signer = await readKeypair(keypairFile)
    const rpc = new LedgerRpc({ ...rpcDefaults, url })
    const ids = { program, device } as Parameters<typeof signStatuses>[0]
    const began = performance.now()
    for (const subject of users) {
      const lifetime = await rpc.blockhash(commitment, signal)
      const { wire, signature } = await signStatuses(ids, signer, [{ subject, state: 'down', rttNs: 0, cause: 'changed', decidedAt: 0 }], lifetime, 0)
      await rpc.send(wire, 'confirmed', signal)
      for (const [poll, enough] of [[SERIAL_POLL_MS.seen, null], [SERIAL_POLL_MS.final, commitment]] as const) {
        for (;;) {
          const { status: seen } = await rpc.status(signature, false, signal)
          if (seen !== null && (enough === null || seen.commitment === enough || seen.commitment === 'finalized')) break
          await wait(poll / SLOT_SCALE, undefined, { signal })
        }
      }
    }
    if (ledger.writes.length !== count) throw new BenchError(`${ledger.writes.length} writes for ${count} changes`)
    return (performance.now() - began) / 1000 * SLOT_SCALE / count
  } finally {
    await ledger.close()
  }
}

function ticks (repeats: number): { readonly tickMs: number, readonly bytesEach: number } {
  const timing = { graceMs: 30_000, debounceMs: 0, refreshMs: 21_600_000, jitter: 0.1, spacingMs: 0 }
  const subjects = Array.from({ length: SUBJECTS }, (_, n) => ({ id: `default/10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, peer: '', vrf: 'default', recorded: 'up' as const, recordedAt: 0, incarnation: '1' }))
  const memories = new Map<string, SubjectMemory>()
  const look = (now: number, changed: number): number => {
    let reports = 0
    subjects.forEach((subject, n) => {
      const { memory, decision } = step(memories.get(subject.id), { subject, mark: null, session: n % 100 < changed ? 'down' : 'up', rttNs: 1000, now, draw: 0.5 }, timing)
      memories.set(subject.id, memory)
      reports += Number(decision.kind === 'report')
    })
    return reports
  }
  const before = heapInUse()
  look(0, 0)
  const bytesEach = (heapInUse() - before) / SUBJECTS
  const times: number[] = []
  for (let i = 1; i <= Math.max(9, repeats * 5); i++) {
    const began = performance.now()
    const reports = look(i * 60_000, 1)
    times.push(performance.now() - began)
    if (reports !== SUBJECTS / 100) throw new BenchError(`${reports} reports of ${SUBJECTS / 100} changes`)
  }
  return { tickMs: median(times), bytesEach }
}

const status = (peer: string): BgpNeighbourStatus => ({
  source: 'frr', vrf: 'default', peer, local: null, remoteAs: 65_001, localAs: 65_000, established: false, fsm: null, adminDown: false, since: null, drops: null, reason: null, description: null, prefixesReceived: null,
  rttNs: null, cookie: null, state: 'down', seenAt: 0, changedAt: 0, flaps: 0, unknownBecause: null,
})
