/** One signed transaction with a status for each of up to 19 users: 20 would leave no room (1232 bytes) for what it says about its own cost. */
import type { Address } from '@solana/addresses'
import { AccountRole, type Instruction } from '@solana/instructions'
import { appendTransactionMessageInstructions, createTransactionMessage, setTransactionMessageComputeUnitLimit, setTransactionMessageComputeUnitPrice, setTransactionMessageFeePayer, setTransactionMessageLifetimeUsingBlockhash } from '@solana/transaction-messages'
import { compileTransaction, getBase64EncodedWireTransaction, getSignatureFromTransaction, signTransaction } from '@solana/transactions'
import type { BgpReport } from '../../../contract/bgp.js'
import { statusData } from './accounts.js'
import type { Signer } from './keypair.js'

export const STATUSES_MAX = 19
/** Of the whole transaction, and what a status may need of it: reading, checking and writing one user takes a fraction. */
const COMPUTE_UNITS_MAX = 1_400_000
const COMPUTE_UNITS_EACH = 70_000

type Blockhash = Parameters<typeof setTransactionMessageLifetimeUsingBlockhash>[0]['blockhash']

const systemProgram = '11111111111111111111111111111111' as Address

export interface Ledger { readonly program: Address, readonly device: Address }

export interface Signed { readonly signature: string, readonly wire: string, /** Instructions before the first status. */ readonly leading: number }

export function statusInstruction ({ program, device }: Ledger, publisher: Address, { subject, state, rttNs }: BgpReport): Instruction {
  return {
    programAddress: program,
    accounts: [
      { address: subject as Address, role: AccountRole.WRITABLE },
      { address: device, role: AccountRole.READONLY },
      { address: publisher, role: AccountRole.WRITABLE_SIGNER },
      { address: systemProgram, role: AccountRole.READONLY },
    ],
    data: statusData(state, rttNs),
  }
}

export async function signStatuses (ledger: Ledger, signer: Signer, batch: readonly BgpReport[], lifetime: { readonly blockhash: string, readonly lastValidBlockHeight: number }, computeUnitPrice: number): Promise<Signed> {
  const payer = setTransactionMessageFeePayer(signer.address, createTransactionMessage({ version: 'legacy' }))
  const lasting = setTransactionMessageLifetimeUsingBlockhash({ blockhash: lifetime.blockhash as Blockhash, lastValidBlockHeight: BigInt(lifetime.lastValidBlockHeight) }, payer)
  const limited = setTransactionMessageComputeUnitLimit(Math.min(COMPUTE_UNITS_MAX, COMPUTE_UNITS_EACH * batch.length), lasting)
  const priced = computeUnitPrice === 0 ? limited : setTransactionMessageComputeUnitPrice(BigInt(computeUnitPrice), limited)
  const message = appendTransactionMessageInstructions(batch.map(report => statusInstruction(ledger, signer.address, report)), priced)
  const signed = await signTransaction([signer.keys], compileTransaction(message))
  return { signature: getSignatureFromTransaction(signed), wire: getBase64EncodedWireTransaction(signed), leading: computeUnitPrice === 0 ? 1 : 2 }
}
