/** The eight calls of a Solana node's JSON-RPC that the sink makes: bounded, and each answer checked before it is believed. */
import { printable } from '../../../lib/printable.js'
import { post, HttpError, placeOf } from '../http.js'

export type Commitment = 'processed' | 'confirmed' | 'finalized'

/** `answered`: the node itself said no, with a code and perhaps data. */
export class RpcError extends Error {
  constructor (message: string, readonly mayHaveArrived: boolean, readonly answered: { readonly code: number, readonly data: unknown } | null, options?: ErrorOptions) { super(message, options) }
}

export interface Account { readonly owner: string, readonly data: Uint8Array }
export interface SignatureStatus { readonly slot: number, readonly err: unknown, readonly commitment: Commitment }

export interface RpcOptions { readonly url: string, readonly timeoutMs: number, readonly answerBytesMax: number }
/** Blocks that a blockhash may be used for: 150. Heights are at most slots, so what is far beyond is no height, and a batch would wait for it for ever. */
const LIFE_BLOCKS_MAX = 300
/** Base58 of 32 bytes, roughly: it is shown. */
const addressShape = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/

export const rpcDefaults = { timeoutMs: 20_000, answerBytesMax: 32 << 20 } as const

export class LedgerRpc {
  private id = 0
  constructor (private readonly options: RpcOptions) {}

  /** Without what may be secret in it. */
  get place (): string { return placeOf(this.options.url) }

  async blockhash (commitment: Commitment, signal: AbortSignal): Promise<{ readonly slot: number, readonly blockhash: string, readonly lastValidBlockHeight: number }> {
    const { slot, value } = await this.context('getLatestBlockhash', [{ commitment }], signal)
    const { blockhash, lastValidBlockHeight } = this.object('getLatestBlockhash', value)
    if (typeof blockhash !== 'string' || !addressShape.test(blockhash)) throw this.wrong('getLatestBlockhash', 'blockhash')
    const last = this.count('getLatestBlockhash', lastValidBlockHeight)
    if (last > slot + LIFE_BLOCKS_MAX) throw this.wrong('getLatestBlockhash', 'lastValidBlockHeight')
    return { slot, blockhash, lastValidBlockHeight: last }
  }

  /** The signature, as the node tells it. */
  async send (transaction: string, commitment: Commitment, signal: AbortSignal): Promise<string> {
    const signature = await this.call('sendTransaction', [transaction, { encoding: 'base64', preflightCommitment: commitment }], signal)
    if (typeof signature !== 'string') throw this.wrong('sendTransaction', 'signature')
    return signature
  }

  /** `null`: the node does not know it. */
  async status (signature: string, history: boolean, signal: AbortSignal): Promise<{ readonly slot: number, readonly status: SignatureStatus | null }> {
    const { slot, value } = await this.context('getSignatureStatuses', [[signature], { searchTransactionHistory: history }], signal)
    if (!Array.isArray(value) || value.length !== 1) throw this.wrong('getSignatureStatuses', 'one status')
    const one = (value as unknown[])[0]
    if (one === null) return { slot, status: null }
    const { slot: at, err, confirmationStatus } = this.object('getSignatureStatuses', one)
    if (confirmationStatus !== 'processed' && confirmationStatus !== 'confirmed' && confirmationStatus !== 'finalized') throw this.wrong('getSignatureStatuses', 'confirmationStatus')
    return { slot, status: { slot: this.count('getSignatureStatuses', at), err: err ?? null, commitment: confirmationStatus } }
  }

  async height (commitment: Commitment, signal: AbortSignal): Promise<{ readonly slot: number, readonly blockHeight: number }> {
    const { absoluteSlot, blockHeight } = this.object('getEpochInfo', await this.call('getEpochInfo', [{ commitment }], signal))
    return { slot: this.count('getEpochInfo', absoluteSlot), blockHeight: this.count('getEpochInfo', blockHeight) }
  }

  /** Lamports. */
  async balance (address: string, commitment: Commitment, signal: AbortSignal): Promise<number> {
    const { value } = await this.context('getBalance', [address, { commitment }], signal)
    if (typeof value !== 'number' || !(value >= 0)) throw this.wrong('getBalance', 'value')
    return value
  }

  async account (address: string, commitment: Commitment, signal: AbortSignal): Promise<Account | null> {
    const { value } = await this.context('getAccountInfo', [address, { commitment, encoding: 'base64' }], signal)
    return value === null ? null : this.accountOf('getAccountInfo', value)
  }

  async accounts (addresses: readonly string[], commitment: Commitment, signal: AbortSignal): Promise<{ readonly slot: number, readonly accounts: readonly (Account | null)[] }> {
    const { slot, value } = await this.context('getMultipleAccounts', [addresses, { commitment, encoding: 'base64' }], signal)
    if (!Array.isArray(value) || value.length !== addresses.length) throw this.wrong('getMultipleAccounts', `${addresses.length} accounts`)
    return { slot, accounts: (value as unknown[]).map(one => one === null ? null : this.accountOf('getMultipleAccounts', one)) }
  }

  async programAccounts (program: string, filters: readonly { readonly offset: number, readonly bytes: string }[], commitment: Commitment, signal: AbortSignal): Promise<{ readonly slot: number, readonly accounts: ReadonlyMap<string, Account> }> {
    const { slot, value } = await this.context('getProgramAccounts', [program, { commitment, encoding: 'base64', withContext: true, filters: filters.map(memcmp => ({ memcmp })) }], signal)
    if (!Array.isArray(value)) throw this.wrong('getProgramAccounts', 'list')
    return { slot, accounts: new Map((value as unknown[]).map(one => {
      const { pubkey, account } = this.object('getProgramAccounts', one)
      if (typeof pubkey !== 'string') throw this.wrong('getProgramAccounts', 'pubkey')
      return [pubkey, this.accountOf('getProgramAccounts', account)] as const
    })) }
  }

  // --- checking -------------------------------------------------------------------------------------------------------------------------

  private async context (method: string, params: readonly unknown[], signal: AbortSignal): Promise<{ readonly slot: number, readonly value: unknown }> {
    const { context, value } = this.object(method, await this.call(method, params, signal))
    return { slot: this.count(method, this.object(method, context)['slot']), value }
  }

  private accountOf (method: string, value: unknown): Account {
    const { owner, data } = this.object(method, value)
    const [text, encoding] = Array.isArray(data) ? data as unknown[] : []
    if (typeof owner !== 'string' || !addressShape.test(owner) || typeof text !== 'string' || encoding !== 'base64') throw this.wrong(method, 'account')
    return { owner, data: Buffer.from(text, 'base64') }
  }

  private object (method: string, value: unknown): { readonly [key: string]: unknown } {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw this.wrong(method, 'object')
    return value as { readonly [key: string]: unknown }
  }

  private count (method: string, value: unknown): number {
    if (!Number.isSafeInteger(value) || Number(value) < 0) throw this.wrong(method, 'whole number')
    return Number(value)
  }

  private wrong (method: string, what: string): RpcError { return new RpcError(`${this.place}: ${method}: the answer has no ${what} where one belongs`, true, null) }

  private async call (method: string, params: readonly unknown[], signal: AbortSignal): Promise<unknown> {
    const id = ++this.id
    const answer = await this.posted(method, JSON.stringify({ jsonrpc: '2.0', id, method, params }), signal)
    // 408: the one in between was too slow, and the node may have it
    const refused = answer.status >= 400 && answer.status < 500 && answer.status !== 408
    if (answer.status !== 200 && !answer.text.startsWith('{')) throw new RpcError(`${this.place}: ${method}: HTTP status ${answer.status}`, !refused, null)
    let said: { readonly [key: string]: unknown }
    try {
      said = this.object(method, JSON.parse(answer.text))
    } catch (error) {
      throw new RpcError(`${this.place}: ${method}: the answer is no JSON object (${answer.text.length} characters)`, true, null, { cause: error })
    }
    if (said['id'] !== id && said['id'] !== null) throw new RpcError(`${this.place}: ${method}: the answer is to another request`, true, null)
    if (said['error'] === undefined || said['error'] === null) return said['result']
    const { code, message, data } = this.object(method, said['error'])
    throw new RpcError(`${this.place}: ${method}: ${typeof message === 'string' ? printable(message.slice(0, 300)) : 'an error without a text'}`, true, { code: typeof code === 'number' ? code : 0, data })
  }

  private async posted (method: string, body: string, signal: AbortSignal): Promise<{ readonly status: number, readonly text: string }> {
    const { url, timeoutMs, answerBytesMax } = this.options
    try {
      return await post({ url, headers: { 'content-type': 'application/json' }, body, timeoutMs, answerBytesMax, beyond: 'refuse', signal })
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
      throw new RpcError(`${error.message} (${method})`, error.mayHaveArrived, null, { cause: error })
    }
  }
}
