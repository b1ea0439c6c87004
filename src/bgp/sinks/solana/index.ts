/**
 * The sink on a Solana ledger: users of one device are its subjects, their accounts the record, one transaction for a batch. A transaction may land until the ledger has
 * passed its last valid block height; before that is seen, and the accounts read after it, nothing of the batch is sent again.
 */
import { address, type Address } from '@solana/addresses'
import type { BgpFetches, BgpLook, BgpNeighbourStatus, BgpReport, BgpState, BgpSubject } from '../../../contract/bgp.js'
import type { BgpSolanaSink } from '../../../contract/bgp-report.js'
import { causeOf } from '../../../lib/cause-of.js'
import { printable } from '../../../lib/printable.js'
import { TallyOfTimes } from '../../../lib/tally-of-times.js'
import { reasonOf, sleep, type Clock } from '../../reporting/clock.js'
import { CachingFetcher, type FetcherLog } from '../../reporting/fetcher.js'
import { SinkError, each, type BgpSink, type Outcome, type Prepared, type SubjectReading } from '../sink.js'
import { ledgerStates, readDevice, readUser, userActivated, userPlaces, type LedgerUser } from './accounts.js'
import { failureOutcomes, sendOutcomes } from './failures.js'
import { readKeypair, type Signer } from './keypair.js'
import { LedgerRpc, rpcDefaults, type RpcOptions } from './rpc.js'
import { STATUSES_MAX, signStatuses, type Ledger } from './transaction.js'

export interface SolanaSinkOptions {
  readonly settings: BgpSolanaSink
  readonly clock: Clock
  readonly random: () => number
  readonly log: FetcherLog
  readonly rpc?: Partial<RpcOptions>
  readonly pollMs?: number
}

/** Slots are counted, not timed: a record's age is estimated. */
export const SLOT_MS = 400
/** A transaction is watched for so long at a stretch; then `resolve` goes on. */
const WATCH_MS = 120_000
const BALANCE_EVERY_MS = 600_000
/** Bounds of how long the users take to be read, seconds. */
const FETCHED_S: readonly number[] = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 120]

interface Users { readonly slot: number, readonly at: number, readonly users: ReadonlyMap<string, LedgerUser>, readonly unreadable: number }
interface Ticket { readonly signature: string, readonly lastValidBlockHeight: number, readonly slot: number, readonly leading: number }

export class SolanaSink implements BgpSink {
  readonly kind = 'solana'
  readonly name: string
  readonly batchMax = STATUSES_MAX
  readonly record = null
  private readonly rpc: LedgerRpc
  private readonly ledger: Ledger
  private readonly users: CachingFetcher<Users>
  private readonly fetched = { success: 0, stale: 0, failed: 0 }
  private readonly fetchedIn = new TallyOfTimes(FETCHED_S)
  private signer: Signer | null = null
  private balanceAt = -Infinity
  private poor = false
  private unreadable = 0
  /** Dry run: what would be on record, until somebody writes to the account. */
  private readonly imagined = new Map<string, { readonly state: BgpState, readonly at: number, readonly instead: bigint }>()

  constructor (private readonly options: SolanaSinkOptions) {
    const { settings, clock, random, log, rpc } = options
    this.name = settings.name
    this.rpc = new LedgerRpc({ ...rpcDefaults, ...rpc, url: settings.url })
    this.ledger = { program: address(settings.program), device: address(settings.device) }
    this.users = new CachingFetcher({ what: `users of ${settings.name}`, fetch: async signal => await this.fetchUsers(signal), clock, random, log, onFetch: (result, tookMs) => { this.fetched[result]++; this.fetchedIn.add(tookMs / 1000) } })
  }

  /** The key must be the one that the device names, or every write would be refused. */
  async start (signal: AbortSignal): Promise<void> {
    const { keypairFile, commitment, device } = this.options.settings
    const signer = await readKeypair(keypairFile)
    const account = await this.rpc.account(device, commitment, signal).catch((error: unknown) => { throw new SinkError('transient', causeOf(error)) })
    if (account === null) throw new SinkError('permanent', `device ${device} is not on the ledger at ${this.rpc.place}`)
    if (account.owner !== this.ledger.program) throw new SinkError('permanent', `device ${device} is owned by ${account.owner}, expected the program ${this.ledger.program}`)
    const { publisher, code } = deviceOf(device, account.data)
    if (publisher !== signer.address) throw new SinkError('permanent', `device ${device} (${printable(code.slice(0, 64))}) names ${publisher} as its publisher; the key of ${keypairFile} is ${signer.address}`)
    this.signer = signer
    await this.checkBalance(signer.address, signal)
  }

  fetches (): BgpFetches { return { results: { ...this.fetched }, took: this.fetchedIn.times, staleMs: this.users.staleMs } }

  async subjects (look: BgpLook, signal: AbortSignal): Promise<SubjectReading> {
    const { value: { slot, at, users, unreadable } } = await this.users.get(signal)
    if (unreadable !== this.unreadable && unreadable > 0) this.options.log.warn(`bgp report ${this.name}: ${unreadable} user accounts cannot be read and are left out`)
    this.unreadable = unreadable
    if (this.signer !== null) await this.checkBalance(this.signer.address, signal)
    const sessions = new TunnelSessions(look.neighbours)
    return { mark: BigInt(slot), subjects: [...users].map(([id, user]) => this.subjectOf(id, user, slot, at, sessions)) }
  }

  async prepare (batch: readonly BgpReport[], signal: AbortSignal): Promise<Prepared> {
    const { signer, options: { settings: { dryRun, commitment, computeUnitPrice } } } = this
    if (signer === null) throw new SinkError('transient', 'it has not started')
    if (dryRun) return { ticket: 'dry run', send: async () => await Promise.resolve(this.imagine(batch)) }
    const { slot, blockhash, lastValidBlockHeight } = await this.rpc.blockhash(commitment, signal).catch((error: unknown) => { throw new SinkError('transient', causeOf(error)) })
    const { signature, wire, leading } = await signStatuses(this.ledger, signer, batch, { blockhash, lastValidBlockHeight }, computeUnitPrice)
    const ticket: Ticket = { signature, lastValidBlockHeight, slot, leading }
    return { ticket: JSON.stringify(ticket), send: async own => this.settled(await this.send(wire, ticket, batch, own)) }
  }

  /** The height is read before the status: a status that is still unknown after the last valid height has passed stays so. Then the accounts have the last word. */
  async resolve (text: string, batch: readonly BgpReport[], signal: AbortSignal): Promise<readonly Outcome[]> {
    if (text === 'dry run') return each(batch, { kind: 'transient', reason: 'it was a dry run', afterMs: 0 })
    const ticket = ticketOf(text)
    if (ticket === null) return each(batch, { kind: 'transient', reason: 'the ticket of the batch cannot be read', afterMs: 0 })
    const { commitment } = this.options.settings
    const { slot, blockHeight } = await this.rpc.height(commitment, signal)
    const known = await this.rpc.status(ticket.signature, true, signal)
    const outcomes = this.known(known.status, ticket, batch)
    if (outcomes !== null) return this.settled(outcomes)
    if (known.status !== null || blockHeight <= ticket.lastValidBlockHeight || known.slot < slot) return each(batch, { kind: 'uncertain', reason: `transaction ${ticket.signature}: neither landed nor expired yet` })
    const read = await this.rpc.accounts(batch.map(({ subject }) => subject), commitment, signal)
    if (read.slot < slot) return each(batch, { kind: 'uncertain', reason: `transaction ${ticket.signature}: the node that was asked for accounts is behind` })
    return this.settled(batch.map((report, i) => {
      const user = read.accounts[i]?.owner === this.ledger.program ? userOf(read.accounts[i].data) : null
      return user !== null && user.lastReportedAt >= BigInt(ticket.slot) && user.bgpStatus === ledgerStates[report.state] && user.rttNs === BigInt(report.rttNs)
        ? { kind: 'landed', mark: user.lastReportedAt }
        : { kind: 'transient', reason: `transaction ${ticket.signature} expired`, afterMs: 0 }
    }))
  }

  stop (): void { this.users.stop() }

  // --- subjects -------------------------------------------------------------------------------------------------------------------------

  private async fetchUsers (signal: AbortSignal): Promise<Users> {
    const { commitment, device } = this.options.settings
    const filters = [{ offset: userPlaces.type, bytes: '8' }, { offset: userPlaces.device, bytes: device }, { offset: userPlaces.status, bytes: '2' }]
    const { slot, accounts } = await this.rpc.programAccounts(this.ledger.program, filters, commitment, signal)
    const users = new Map<string, LedgerUser>()
    let unreadable = 0
    for (const [id, { owner, data }] of accounts) {
      const user = owner === this.ledger.program ? userOf(data) : null
      if (user === null || addressOf(id) === null) unreadable++
      // A node that does not filter is not believed either.
      else if (user.device === this.ledger.device && user.status === userActivated) users.set(id, user)
    }
    return { slot, at: this.options.clock.now(), users, unreadable }
  }

  private subjectOf (id: string, user: LedgerUser, slot: number, at: number, sessions: TunnelSessions): BgpSubject {
    const session = sessions.of(user.tunnelNet)
    const told = user.bgpStatus === ledgerStates.up ? 'up' : user.bgpStatus === ledgerStates.down ? 'down' : 'unknown'
    const imagined = this.imagined.get(id)
    const record = imagined !== undefined && imagined.instead === user.lastReportedAt
      ? { recorded: imagined.state, recordedAt: imagined.at }
      : { recorded: told, recordedAt: user.lastReportedAt === 0n ? null : at - Math.max(0, slot - Number(user.lastReportedAt)) * SLOT_MS } as const
    return { id, peer: session?.peer ?? null, vrf: session?.vrf ?? null, ...record, incarnation: `${user.index}/${user.owner}` }
  }

  private imagine (batch: readonly BgpReport[]): Outcome[] {
    for (const { subject, state, rttNs, cause } of batch) {
      this.options.log.info(`bgp report ${this.name}: dry run: ${subject} would be told as ${state}, round trip ${rttNs} ns (${cause})`)
      const peeked = this.users.peek?.users.get(subject)
      if (peeked !== undefined) this.imagined.set(subject, { state, at: this.options.clock.now(), instead: peeked.lastReportedAt })
    }
    for (const id of this.imagined.keys()) if (this.users.peek?.users.has(id) !== true) this.imagined.delete(id)
    return each(batch, { kind: 'landed', mark: null })
  }

  // --- sending --------------------------------------------------------------------------------------------------------------------------

  private async send (wire: string, ticket: Ticket, batch: readonly BgpReport[], signal: AbortSignal): Promise<readonly Outcome[]> {
    const { clock, pollMs = 500, settings: { commitment } } = this.options
    try {
      const signature = await this.rpc.send(wire, commitment, signal)
      if (signature !== ticket.signature) return each(batch, { kind: 'uncertain', reason: `${this.rpc.place} told of another transaction than was sent` })
    } catch (error) {
      return sendOutcomes(error, ticket.leading, batch)
    }
    let reason = `transaction ${ticket.signature}: not seen on the ledger yet`
    for (const until = clock.now() + WATCH_MS; clock.now() < until;) {
      await sleep(clock, pollMs, signal)
      try {
        const { status } = await this.rpc.status(ticket.signature, false, signal)
        const outcomes = this.known(status, ticket, batch)
        if (outcomes !== null) return outcomes
        if (status === null && (await this.rpc.height(commitment, signal)).blockHeight > ticket.lastValidBlockHeight) break
      } catch (error) {
        if (signal.aborted) throw reasonOf(signal)
        reason = `transaction ${ticket.signature}: ${causeOf(error)}`
      }
    }
    return each(batch, { kind: 'uncertain', reason })
  }

  /** `null`: the ledger has not decided yet. An error counts when it is as firm as a success must be. */
  private known (status: { readonly slot: number, readonly err: unknown, readonly commitment: string } | null, ticket: Ticket, batch: readonly BgpReport[]): Outcome[] | null {
    if (status === null || (status.commitment !== 'finalized' && status.commitment !== this.options.settings.commitment)) return null
    return status.err === null ? each(batch, { kind: 'landed', mark: BigInt(status.slot) }) : failureOutcomes(status.err, ticket.leading, batch)
  }

  /** A refusal says that what is known of the accounts is wrong: the next look reads them anew. */
  private settled (outcomes: readonly Outcome[]): readonly Outcome[] {
    if (outcomes.some(({ kind }) => kind === 'permanent' || kind === 'landed')) this.users.expire()
    return outcomes
  }

  /** Told when it changes. That it cannot be read keeps nobody from reporting. */
  private async checkBalance (payer: Address, signal: AbortSignal): Promise<void> {
    const { clock, log, settings: { balanceMin, commitment } } = this.options
    if (clock.now() - this.balanceAt < BALANCE_EVERY_MS) return
    this.balanceAt = clock.now()
    const balance = await this.rpc.balance(payer, commitment, signal).catch(() => null)
    if (balance === null || balance < balanceMin === this.poor) return
    this.poor = !this.poor
    if (this.poor) log.warn(`bgp report ${this.name}: ${payer} has ${balance} lamports, below ${balanceMin}: it pays fees and rent of each write; fund it`)
    else log.info(`bgp report ${this.name}: ${payer} has ${balance} lamports, enough again`)
  }
}

// --- sessions of tunnels ----------------------------------------------------------------------------------------------------------------------

/** Neighbours by IPv4 address: a tunnel has at most a few addresses, and its own end is not a peer. */
class TunnelSessions {
  private readonly peers = new Map<number, BgpNeighbourStatus>()

  /** Of two sessions with one peer an established one counts. */
  constructor (neighbours: readonly BgpNeighbourStatus[]) {
    for (const neighbour of neighbours) {
      const peer = ipv4(neighbour.peer)
      if (peer === null) continue
      const other = this.peers.get(peer)
      if (other === undefined || rank(neighbour.state) > rank(other.state)) this.peers.set(peer, neighbour)
    }
  }

  /** The best session with a peer inside of the tunnel's network; a network that is wider than a tunnel's has none. */
  of ({ address: net, prefix }: LedgerUser['tunnelNet']): BgpNeighbourStatus | null {
    if (prefix < 24 || prefix > 32) return null
    const size = 2 ** (32 - prefix)
    const first = Math.floor(net / size) * size
    let best: BgpNeighbourStatus | null = null
    for (let i = 0; i < size; i++) {
      const one = this.peers.get(first + i)
      if (one !== undefined && (best === null || rank(one.state) > rank(best.state))) best = one
    }
    return best
  }
}

/** What is not known counts before what is down: it might be up. */
const rank = (state: BgpState): number => state === 'up' ? 2 : state === 'unknown' ? 1 : 0

function ipv4 (text: string): number | null {
  const parts = text.split('.')
  return parts.length === 4 && parts.every(part => /^\d{1,3}$/.test(part)) ? parts.reduce((value, part) => value * 256 + Number(part), 0) : null
}

// --- reading what others wrote ----------------------------------------------------------------------------------------------------------------

function userOf (data: Uint8Array): LedgerUser | null {
  try {
    return readUser(data)
  } catch {
    return null
  }
}

function deviceOf (name: string, data: Uint8Array): ReturnType<typeof readDevice> {
  try {
    return readDevice(data)
  } catch (error) {
    throw new SinkError('permanent', `device ${name}: ${causeOf(error)}`)
  }
}

function addressOf (text: string): Address | null {
  try {
    return address(text)
  } catch {
    return null
  }
}

function ticketOf (text: string): Ticket | null {
  try {
    const { signature, lastValidBlockHeight, slot, leading } = JSON.parse(text) as { readonly [key: string]: unknown }
    return typeof signature === 'string' && typeof lastValidBlockHeight === 'number' && typeof slot === 'number' && typeof leading === 'number' ? { signature, lastValidBlockHeight, slot, leading } : null
  } catch {
    return null
  }
}
