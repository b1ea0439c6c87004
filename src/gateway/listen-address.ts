/** `127.0.0.1:50461`, `[::1]:50461`, `off` -> where to listen; and what counts as loopback. */
import { LockstepError } from '../contract/errors.js'
import { formatAddress, parseEndpoint } from '../lib/address.js'

export interface ListenAddress {
  readonly host: string
  readonly port: number
  readonly loopback: boolean
}

/** @throws invalid for anything but a literal address with a port: a name could resolve to more than one asked for. */
export function parseListen (option: string, text: string): ListenAddress | null {
  if (text === 'off') return null
  const found = parseEndpoint(text.replace(/^localhost:/, '127.0.0.1:'))
  if (found === null) {
    throw new LockstepError('invalid', 'LS_G_ADDRESS', 'not an address to listen on', { object: option, found: text, expected: 'ADDRESS:PORT, for example 127.0.0.1:50461 or [::1]:50461, or off' })
  }
  const host = formatAddress(found.address)
  return { host, port: found.port, loopback: host === '::1' || host.startsWith('127.') }
}
