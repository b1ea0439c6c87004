/** The key that signs: a file of 64 numbers, as the Solana tools write it. What is in it is in no message and no log. */
import type { webcrypto } from 'node:crypto'
import { getAddressFromPublicKey, type Address } from '@solana/addresses'
import { createKeyPairFromBytes } from '@solana/keys'
import { readSecret } from '../secret-file.js'
import { SinkError } from '../sink.js'

export interface Signer { readonly keys: webcrypto.CryptoKeyPair, readonly address: Address }

/** @throws SinkError */
export async function readKeypair (path: string): Promise<Signer> {
  const bytes = bytesOf((await readSecret(path, 4096)).toString('utf8'))
  if (bytes === null) throw new SinkError('permanent', `${path}: not a keypair; expected a JSON list of 64 numbers from 0 to 255, as solana-keygen writes it`)
  try {
    const keys = await createKeyPairFromBytes(bytes) as webcrypto.CryptoKeyPair
    return { keys, address: await getAddressFromPublicKey(keys.publicKey) }
  } catch {
    throw new SinkError('permanent', `${path}: its public half does not belong to its private half`)
  } finally {
    bytes.fill(0)
  }
}

function bytesOf (text: string): Uint8Array | null {
  try {
    const list = JSON.parse(text) as unknown
    if (!Array.isArray(list) || list.length !== 64 || !list.every(n => Number.isInteger(n) && Number(n) >= 0 && Number(n) <= 255)) return null
    return Uint8Array.from(list as number[])
  } catch {
    return null
  }
}
