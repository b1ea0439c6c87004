/**
 * A Solana node for tests and measurements: JSON-RPC over loopback, signatures verified, transactions run whole or not at all, and the one instruction of the ledger
 * program as its rules have it. Slots go on by `advance`, or by themselves with `slotMs`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { webcrypto } from 'node:crypto'
import { getAddressEncoder, type Address } from '@solana/addresses'
import { getCompiledTransactionMessageDecoder } from '@solana/transaction-messages'
import { getSignatureFromTransaction, getTransactionDecoder, type Transaction } from '@solana/transactions'
import { readDevice, readUser } from '../../src/bgp/sinks/solana/accounts.js'

export interface LedgerAccount { owner: string, data: Uint8Array, lamports: number }
interface Sent { readonly signature: string, readonly slot: number, readonly err: unknown }
type Json = { readonly [key: string]: unknown } | readonly unknown[] | string | number | boolean | null
/** An answer in place of the true one: `drop` cuts the connection, `take` runs the request first and then cuts it. */
export type Fault = { readonly kind: 'drop' | 'take' | 'hang' } | { readonly kind: 'text', readonly status: number, readonly text: string, readonly headers?: Record<string, string> }

export interface LedgerOptions {
  readonly program: string
  /** 0: slots go on by `advance` alone. */
  readonly slotMs: number
  readonly confirmSlots?: number
  readonly finalSlots?: number
}

export const BLOCKHASH_LIFE = 150
const FEE = 5000
const SYSTEM = '11111111111111111111111111111111'
const COMPUTE = 'ComputeBudget111111111111111111111111111111'
const addresses = getAddressEncoder()

export class LedgerDouble {
  readonly accounts = new Map<string, LedgerAccount>()
  readonly sent = new Map<string, Sent>()
  /** Requests by method. */
  readonly calls = new Map<string, number>()
  /** Status instructions that were run, in order. */
  readonly writes: Array<{ readonly user: string, readonly status: number, readonly rttNs: bigint, readonly slot: number }> = []
  readonly wires: string[] = []
  fault: ((method: string) => Fault | null) | null = null
  /** Transactions are taken and never run. */
  loses = false
  /** Reads of accounts are of this moment. */
  private frozen: { readonly slot: number, readonly accounts: ReadonlyMap<string, LedgerAccount> } | null = null
  private slot = 1000
  private readonly waiting: Array<{ readonly transaction: Transaction, readonly signature: string }> = []
  private readonly server = createServer((request, response) => { void this.serve(request, response) })
  private timer: NodeJS.Timeout | null = null

  constructor (private readonly options: LedgerOptions) {}

  async listen (): Promise<string> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve))
    if (this.options.slotMs > 0) this.timer = setInterval(() => { this.advance(1) }, this.options.slotMs)
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async close (): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer)
    this.server.closeAllConnections()
    await new Promise<void>(resolve => this.server.close(() => { resolve() }))
  }

  get now (): number { return this.slot }

  /** What waits lands in the first of these slots. */
  advance (slots: number): void {
    this.slot++
    for (const { transaction, signature } of this.waiting.splice(0)) this.sent.set(signature, { signature, slot: this.slot, err: this.run(transaction, true) })
    this.slot += slots - 1
  }

  freeze (): void { this.frozen = { slot: this.slot, accounts: new Map([...this.accounts].map(([id, account]) => [id, { ...account, data: account.data.slice() }])) } }
  thaw (): void { this.frozen = null }

  // --- JSON-RPC -------------------------------------------------------------------------------------------------------------------------

  private async serve (request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const { id, method, params } = JSON.parse(Buffer.concat(parts).toString()) as { id: number, method: string, params: unknown[] }
    this.calls.set(method, (this.calls.get(method) ?? 0) + 1)
    const fault = this.fault?.(method) ?? null
    if (fault?.kind === 'hang') return
    if (fault?.kind === 'drop') { request.socket.destroy(); return }
    if (fault?.kind === 'text') { response.writeHead(fault.status, fault.headers).end(fault.text); return }
    let answer: Json
    try {
      answer = { jsonrpc: '2.0', id, result: await this.answer(method, params) }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      answer = { jsonrpc: '2.0', id, error: { code: error.code, message: error.message, data: error.data } }
    }
    if (fault?.kind === 'take') { request.socket.destroy(); return }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }

  private async answer (method: string, params: unknown[]): Promise<Json> {
    const view = this.frozen ?? { slot: this.slot, accounts: this.accounts }
    const of = (id: string): Json => {
      const account = view.accounts.get(id)
      return account === undefined ? null : { owner: account.owner, lamports: account.lamports, data: [Buffer.from(account.data).toString('base64'), 'base64'], executable: false, rentEpoch: 0 }
    }
    const context = { slot: view.slot }
    switch (method) {
      case 'getLatestBlockhash': return { context: { slot: this.slot }, value: { blockhash: this.blockhash(this.slot), lastValidBlockHeight: this.slot + BLOCKHASH_LIFE } }
      case 'getEpochInfo': return { absoluteSlot: this.slot, blockHeight: this.slot, epoch: 1, slotIndex: 0, slotsInEpoch: 432_000 }
      case 'getBalance': return { context, value: view.accounts.get(String(params[0]))?.lamports ?? 0 }
      case 'getAccountInfo': return { context, value: of(String(params[0])) }
      case 'getMultipleAccounts': return { context, value: (params[0] as string[]).map(of) }
      case 'getProgramAccounts': return { context, value: this.matching(view.accounts, String(params[0]), params[1] as { filters: Filter[] }).map(pubkey => ({ pubkey, account: of(pubkey) })) }
      case 'getSignatureStatuses': return { context: { slot: this.slot }, value: (params[0] as string[]).map(signature => this.statusOf(signature)) }
      case 'getTransaction': return this.sent.has(String(params[0])) ? { slot: this.sent.get(String(params[0]))?.slot ?? 0 } : null
      case 'sendTransaction': return await this.take(String(params[0]))
      default: throw new Refusal(-32601, `no method ${method}`)
    }
  }

  private statusOf (signature: string): Json {
    const one = this.sent.get(signature)
    if (one === undefined) return null
    const { confirmSlots = 2, finalSlots = 32 } = this.options
    const age = this.slot - one.slot
    return { slot: one.slot, err: one.err as Json, confirmations: null, confirmationStatus: age >= finalSlots ? 'finalized' : age >= confirmSlots ? 'confirmed' : 'processed' }
  }

  private matching (accounts: ReadonlyMap<string, LedgerAccount>, program: string, { filters }: { readonly filters: readonly Filter[] }): string[] {
    const wanted = filters.map(({ memcmp: { offset, bytes } }) => ({ offset, bytes: base58(bytes) }))
    return [...accounts].filter(([, { owner, data }]) => owner === program && wanted.every(({ offset, bytes }) => bytes.every((byte, i) => data[offset + i] === byte))).map(([id]) => id)
  }

  // --- transactions ---------------------------------------------------------------------------------------------------------------------

  private blockhash (slot: number): string { return textOf(slot) }

  private async take (wire: string): Promise<string> {
    const bytes = Buffer.from(wire, 'base64')
    if (bytes.length > 1232) throw new Refusal(-32602, `transaction of ${bytes.length} bytes: too large (max 1232)`)
    const transaction = getTransactionDecoder().decode(bytes) as Transaction
    const signature = getSignatureFromTransaction(transaction)
    for (const [signer, value] of Object.entries(transaction.signatures)) {
      const key = await webcrypto.subtle.importKey('raw', addresses.encode(signer as Address) as Uint8Array, 'Ed25519', true, ['verify'])
      if (value === null || !await webcrypto.subtle.verify('Ed25519', key, value as Uint8Array, transaction.messageBytes as unknown as Uint8Array)) throw new Refusal(-32003, 'Transaction signature verification failure')
    }
    if (this.sent.has(signature)) return this.refuse('AlreadyProcessed')
    const err = this.run(transaction, false)
    if (err !== null) return this.refuse(err)
    this.wires.push(wire)
    if (!this.loses) this.waiting.push({ transaction, signature })
    return signature
  }

  private refuse (err: unknown): never { throw new Refusal(-32002, 'Transaction simulation failed', { err: err as Json, logs: [] }) }

  /** `null`: it went well. What a failed instruction did, and those before it, is not done. */
  private run (transaction: Transaction, keep: boolean): unknown {
    const message = getCompiledTransactionMessageDecoder().decode(transaction.messageBytes)
    if (message.version !== 'legacy') return 'UnsupportedVersion'
    const { staticAccounts: keys, header, lifetimeToken, instructions } = message
    const age = [...Array(BLOCKHASH_LIFE + 1).keys()].some(back => this.blockhash(this.slot - back) === lifetimeToken)
    if (!age) return 'BlockhashNotFound'
    const payer = keys[0] ?? ''
    const paying = this.accounts.get(payer)
    if (paying === undefined) return 'AccountNotFound'
    if (paying.lamports < FEE) return 'InsufficientFundsForFee'
    if (keep) paying.lamports -= FEE
    const signs = (i: number): boolean => i < header.numSignerAccounts
    const writable = (i: number): boolean => signs(i) ? i < header.numSignerAccounts - header.numReadonlySignerAccounts : i < keys.length - header.numReadonlyNonSignerAccounts
    const changed = new Map<string, Uint8Array>()
    const written: Array<typeof this.writes[number]> = []
    for (const [at, { programAddressIndex, accountIndices = [], data = new Uint8Array() }] of instructions.entries()) {
      const program = keys[programAddressIndex]
      if (program === COMPUTE) continue
      const fail = (what: unknown): unknown => ({ InstructionError: [at, what] })
      if (program !== this.options.program) return fail('UnsupportedProgramId')
      const [user = -1, device = -1, publisher = -1, system = -1] = accountIndices
      const id = keys[user] ?? ''
      const account = this.accounts.get(id)
      const owner = this.accounts.get(keys[device] ?? '')
      if (accountIndices.length !== 4 || keys[system] !== SYSTEM || !signs(publisher) || !writable(publisher) || !writable(user)) return fail('ProgramFailedToComplete')
      if (account === undefined || account.owner !== program || account.data.length === 0 || owner === undefined || owner.owner !== program) return fail('ProgramFailedToComplete')
      if (data.length < 2 || data[0] !== 106) return fail('InvalidInstructionData')
      const before = changed.get(id) ?? account.data
      if (before[0] !== 7) return fail('InvalidAccountData')
      if (readDevice(owner.data).publisher !== keys[publisher] || readUser(before).device !== keys[device]) return fail({ Custom: 8 })
      if (before[126] !== 169 || before[127] !== 254) return fail({ Custom: 28 })
      const rttNs = data.length >= 10 ? Buffer.from(data).readBigUInt64LE(2) : 0n
      changed.set(id, withStatus(before, data[1] ?? 0, rttNs, this.slot))
      written.push({ user: id, status: data[1] ?? 0, rttNs, slot: this.slot })
    }
    if (!keep) return null
    for (const [id, data] of changed) {
      const account = this.accounts.get(id)
      if (account !== undefined) account.data = data
    }
    this.writes.push(...written)
    return null
  }
}

interface Filter { readonly memcmp: { readonly offset: number, readonly bytes: string } }

class Refusal extends Error {
  constructor (readonly code: number, message: string, readonly data: Json = null) { super(message) }
}

/** An old account that ends before the fields grows. */
function withStatus (before: Uint8Array, status: number, rttNs: bigint, slot: number): Uint8Array {
  const view = Buffer.from(before)
  const publishers = view.readUInt32LE(132)
  const subscribers = view.readUInt32LE(136 + 32 * publishers)
  const at = 177 + 32 * (publishers + subscribers)
  const data = Buffer.alloc(Math.max(view.length, at + 29))
  view.copy(data)
  data[at] = status
  if (status === 1) data.writeBigUInt64LE(BigInt(slot), at + 1)
  data.writeBigUInt64LE(BigInt(slot), at + 9)
  data.writeBigUInt64LE(rttNs, at + 17)
  return data
}

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

function base58 (text: string): number[] {
  let value = 0n
  for (const letter of text) value = value * 58n + BigInt(alphabet.indexOf(letter))
  const out: number[] = []
  for (; value > 0n; value >>= 8n) out.unshift(Number(value & 255n))
  for (const letter of text) {
    if (letter !== '1') break
    out.unshift(0)
  }
  return out
}

/** 32 bytes that say a slot, as base58. */
function textOf (slot: number): string {
  let value = (0x5eedn << 240n) | BigInt(slot)
  let text = ''
  for (; value > 0n; value /= 58n) text = (alphabet[Number(value % 58n)] ?? '') + text
  return text
}

// --- accounts to fill it with -------------------------------------------------------------------------------------------------------------------

export interface UserShape {
  readonly owner?: Uint8Array
  readonly index: number
  readonly device: string
  readonly tunnel: readonly [number, number, number, number, number]
  readonly status?: number
  readonly publishers?: number
  readonly subscribers?: number
  readonly feeds?: number
  readonly bgpStatus?: number
  readonly reportedAt?: number
  readonly rttNs?: bigint
  /** Ends before what came with BGP. */
  readonly legacy?: boolean
  readonly trailing?: number
}

export function userBytes ({ owner = new Uint8Array(32), index, device, tunnel, status = 1, publishers = 0, subscribers = 0, feeds = 0, bgpStatus = 0, reportedAt = 0, rttNs = 0n, legacy = false, trailing = 0 }: UserShape): Uint8Array {
  const lists = 32 * (publishers + subscribers)
  const data = Buffer.alloc(206 + lists + 32 * feeds + trailing)
  data[0] = 7
  data.set(owner, 1)
  data.writeBigUInt64LE(BigInt(index), 33)
  data.set(addresses.encode(device as Address), 83)
  data.writeUInt16LE(index % 4596, 124)
  data.set(tunnel, 126)
  data[131] = status
  data.writeUInt32LE(publishers, 132)
  data.writeUInt32LE(subscribers, 136 + 32 * publishers)
  data[177 + lists] = bgpStatus
  data.writeBigUInt64LE(BigInt(reportedAt), 186 + lists)
  data.writeBigUInt64LE(rttNs, 194 + lists)
  data.writeUInt32LE(feeds, 202 + lists)
  return legacy ? data.subarray(0, 172) : data
}

export function deviceBytes (code: string, publisher: string, prefixes = 1): Uint8Array {
  const data = Buffer.alloc(124 + code.length + 4 + 5 * prefixes + 64)
  data[0] = 5
  data.writeUInt32LE(code.length, 120)
  data.write(code, 124)
  data.writeUInt32LE(prefixes, 124 + code.length)
  data.set(addresses.encode(publisher as Address), 128 + code.length + 5 * prefixes)
  return data
}

/** The nth address of a kind, for accounts that need no key. */
export const addressOf = (kind: number, n: number): string => {
  let value = (BigInt(kind + 1) << 248n) | BigInt(n)
  let text = ''
  for (; value > 0n; value /= 58n) text = (alphabet[Number(value % 58n)] ?? '') + text
  return text
}
