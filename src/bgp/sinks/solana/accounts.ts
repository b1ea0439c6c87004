/**
 * Accounts of the ledger program, as far as the sink reads them, and its one instruction. Borsh, little endian. The layout only grows at its end: a tail that is missing
 * reads as zero, bytes behind what is known here are left alone. A vector's count is held against the bytes that are there before anything is made of it.
 */
import { getAddressDecoder, type Address } from '@solana/addresses'

export const accountTypes = { device: 5, user: 7 } as const
export const userActivated = 1
/** Places of fields that never move, for filters of `getProgramAccounts`. */
export const userPlaces = { type: 0, device: 83, status: 131 } as const

export interface LedgerUser {
  readonly owner: Address
  readonly index: bigint
  readonly device: Address
  readonly tunnelId: number
  readonly tunnelNet: { readonly address: number, readonly prefix: number }
  readonly status: number
  readonly bgpStatus: number
  /** Slots; 0: never. */
  readonly lastUpAt: bigint
  readonly lastReportedAt: bigint
  readonly rttNs: bigint
}

export interface LedgerDevice { readonly code: string, readonly publisher: Address }

/** @throws when it is no user. */
export function readUser (bytes: Uint8Array): LedgerUser {
  const at = new Reader(bytes)
  const type = at.u8()
  if (type !== accountTypes.user || bytes.length <= userPlaces.status) throw new Error(`account of type ${type} with ${bytes.length} bytes: not a user`)
  const owner = at.address()
  const index = at.uint(16)
  at.skip(1 + 1 + 32)
  const device = at.address()
  at.skip(1 + 4 + 4)
  const tunnelId = Number(at.uint(2))
  const tunnelNet = { address: at.ipv4(), prefix: at.u8() }
  const status = at.u8()
  at.vector(32)
  at.vector(32)
  at.skip(32 + 4 + 1)
  return { owner, index, device, tunnelId, tunnelNet, status, bgpStatus: at.u8(), lastUpAt: at.uint(8), lastReportedAt: at.uint(8), rttNs: at.uint(8) }
}

/** @throws when it is no device. */
export function readDevice (bytes: Uint8Array): LedgerDevice {
  const at = new Reader(bytes)
  const type = at.u8()
  if (type !== accountTypes.device || bytes.length < 124) throw new Error(`account of type ${type} with ${bytes.length} bytes: not a device`)
  at.skip(119)
  const code = new TextDecoder().decode(at.bytes(at.count(1)))
  at.vector(5)
  return { code, publisher: at.address() }
}

const setUserBgpStatus = 106
export const ledgerStates = { unknown: 0, up: 1, down: 2 } as const

/** Data of the instruction: its number, the status, the round trip (u64). */
export function statusData (state: 'up' | 'down', rttNs: number | bigint): Uint8Array {
  const data = new Uint8Array(10)
  data[0] = setUserBgpStatus
  data[1] = ledgerStates[state]
  new DataView(data.buffer).setBigUint64(2, BigInt(rttNs), true)
  return data
}

const addresses = getAddressDecoder()

/** Beyond the end everything is zero. */
class Reader {
  private place = 0
  constructor (private readonly all: Uint8Array) {}

  bytes (length: number): Uint8Array {
    const part = this.all.subarray(this.place, this.place + length)
    this.place += length
    return part
  }

  skip (length: number): void { this.place += length }
  u8 (): number { return Number(this.uint(1)) }
  uint (length: number): bigint { return this.bytes(length).reduceRight((value, byte) => value << 8n | BigInt(byte), 0n) }
  ipv4 (): number { return [...this.padded(4)].reduce((value, byte) => value * 256 + byte, 0) }
  address (): Address { return addresses.decode(this.padded(32)) }

  /** @throws when there are fewer bytes than it says. */
  count (itemBytes: number): number {
    const count = Number(this.uint(4))
    const left = Math.max(0, this.all.length - this.place)
    if (count * itemBytes > left) throw new Error(`a list of ${count} items of ${itemBytes} bytes where ${left} bytes are left`)
    return count
  }

  vector (itemBytes: number): void { this.skip(this.count(itemBytes) * itemBytes) }

  private padded (length: number): Uint8Array {
    const out = new Uint8Array(length)
    out.set(this.bytes(length))
    return out
  }
}
