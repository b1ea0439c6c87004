/**
 * Values to bytes and back, by the shapes of messages.ts. A shape is compiled once into a list of readers and writers. Addresses are text. Bytes behind the
 * fields are ignored: some messages of VPP carry more than their layout.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { LockstepError } from '../../contract/errors.js'
import { addressBytes, addressOfBytes, formatAddress, parseAddress } from '../../lib/address.js'
import { fieldsOf, type FieldShape } from './notation.js'

export type Values = Readonly<Record<string, unknown>>

/** Where bytes are written; it grows. */
export class Writer {
  bytes = Buffer.alloc(4096)
  used = 0

  /** So many bytes, all zero, and where they begin. */
  take (n: number): number {
    const at = this.used
    if (at + n > this.bytes.length) {
      const bytes = Buffer.alloc(Math.max(2 * this.bytes.length, at + n))
      this.bytes.copy(bytes, 0, 0, at)
      this.bytes = bytes
    }
    this.bytes.fill(0, at, at + n)
    this.used = at + n
    return at
  }

  put (bytes: Uint8Array): void {
    const at = this.take(bytes.length)
    this.bytes.set(bytes, at)
  }
}

class Reader {
  constructor (readonly bytes: Buffer, public at: number, readonly end: number) {}

  take (n: number): number {
    const at = this.at
    if (n > this.end - at) throw new LockstepError('unavailable', 'LS_V_SHORT', 'VPP sent a message that is shorter than its layout', { found: `${this.end} bytes`, expected: `${at + n} at least` })
    this.at = at + n
    return at
  }
}

interface Type { readonly write: (w: Writer, value: unknown) => void, readonly read: (r: Reader) => unknown }

/** @throws invalid LS_V_VALUE */
const refuse = (value: unknown, expected: string): never => { throw new LockstepError('invalid', 'LS_V_VALUE', 'a value does not fit into a message of VPP', { found: typeof value === 'string' ? `'${value.slice(0, 80)}'` : String(value), expected }) }
const integer = (value: unknown, least: number, most: number): number => typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : refuse(value, `an integer from ${least} to ${most}`)
const text = (value: unknown): string => typeof value === 'string' ? value : refuse(value, 'text')

function writeIp4 (w: Writer, value: unknown): void {
  const address = text(value)
  w.put(isIPv4(address) ? Uint8Array.from(address.split('.'), Number) : refuse(value, 'an IPv4 address'))
}
function writeIp6 (w: Writer, value: unknown): void {
  const address = text(value)
  w.put(addressBytes((isIPv6(address) ? parseAddress(address.replace(/^::ffff:(?=.*\.)/i, '')) : null) ?? refuse(value, 'an IPv6 address')))
}
const readIp4 = (bytes: Buffer, at: number): string => `${bytes[at] ?? 0}.${bytes[at + 1] ?? 0}.${bytes[at + 2] ?? 0}.${bytes[at + 3] ?? 0}`
const readIp6 = (bytes: Buffer, at: number): string => formatIp6(addressOfBytes(bytes, at))
/** Also of the v4-mapped block, which formatAddress() writes as IPv4. */
const formatIp6 = (value: bigint): string => {
  const written = formatAddress(value)
  return written.includes(':') ? written : `::ffff:${written}`
}

const IP6 = 1
function writeAddress (w: Writer, value: unknown): void {
  const six = text(value).includes(':')
  w.put(Uint8Array.of(six ? IP6 : 0))
  if (six) writeIp6(w, value)
  else {
    writeIp4(w, value)
    w.take(12)
  }
}
function readAddress (r: Reader): string {
  const at = r.take(17)
  return r.bytes[at] === IP6 ? readIp6(r.bytes, at + 1) : readIp4(r.bytes, at + 1)
}

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i
const cString = (bytes: Buffer, at: number, n: number): string => {
  const end = bytes.indexOf(0, at)
  return bytes.toString('utf8', at, end === -1 || end > at + n ? at + n : end)
}

type Put = (bytes: Buffer, value: number, at: number) => void
type Get = (bytes: Buffer, at: number) => unknown
const whole = (size: number, least: number, most: number, put: Put, get: Get): Type => ({
  write: (w, value) => {
    const n = integer(value, least, most)
    const at = w.take(size) // it may move the bytes
    put(w.bytes, n, at)
  },
  read: r => get(r.bytes, r.take(size))
})

const plain: Readonly<Record<string, Type>> = {
  u8: whole(1, 0, 0xff, (b, n, at) => b.writeUInt8(n, at), (b, at) => b.readUInt8(at)),
  u16: whole(2, 0, 0xffff, (b, n, at) => b.writeUInt16BE(n, at), (b, at) => b.readUInt16BE(at)),
  u32: whole(4, 0, 0xffffffff, (b, n, at) => b.writeUInt32BE(n, at), (b, at) => b.readUInt32BE(at)),
  i32: whole(4, -0x80000000, 0x7fffffff, (b, n, at) => b.writeInt32BE(n, at), (b, at) => b.readInt32BE(at)),
  u64: {
    write: (w, v) => {
      const n = typeof v === 'bigint' && v >= 0n && v <= 0xffffffffffffffffn ? v : refuse(v, 'a bigint of 64 bits')
      const at = w.take(8)
      w.bytes.writeBigUInt64BE(n, at)
    },
    read: r => r.bytes.readBigUInt64BE(r.take(8))
  },
  f64: {
    write: (w, v) => {
      const n = typeof v === 'number' ? v : refuse(v, 'a number')
      const at = w.take(8)
      w.bytes.writeDoubleLE(n, at)
    },
    read: r => r.bytes.readDoubleLE(r.take(8))
  },
  bool: { write: (w, v) => { w.put(Uint8Array.of((typeof v === 'boolean' ? v : refuse(v, 'true or false')) ? 1 : 0)) }, read: r => r.bytes[r.take(1)] !== 0 },
  ip4: { write: writeIp4, read: r => readIp4(r.bytes, r.take(4)) },
  ip6: { write: writeIp6, read: r => readIp6(r.bytes, r.take(16)) },
  mac: {
    write: (w, v) => { w.put(Buffer.from((MAC.test(text(v)) ? text(v) : refuse(v, 'a MAC address')).replaceAll(':', ''), 'hex')) },
    read: (r) => {
      const at = r.take(6)
      return r.bytes.toString('hex', at, at + 6).replace(/..(?!$)/g, '$&:')
    }
  },
  address: { write: writeAddress, read: readAddress },
  prefix: {
    write: (w, v) => {
      const [address = '', length = ''] = text(v).split('/')
      writeAddress(w, address)
      w.put(Uint8Array.of(/^\d{1,3}$/.test(length) ? integer(Number(length), 0, address.includes(':') ? 128 : 32) : refuse(v, 'a prefix')))
    },
    read: (r) => {
      const address = readAddress(r)
      return `${address}/${r.bytes[r.take(1)] ?? 0}`
    }
  },
  string: {
    write: (w, v) => {
      const bytes = Buffer.from(text(v))
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      w.put(length)
      w.put(bytes)
    },
    read: (r) => {
      const n = r.bytes.readUInt32BE(r.take(4))
      return cString(r.bytes, r.take(n), n)
    }
  }
}

const fixedString = (n: number): Type => ({
  write: (w, v) => {
    const bytes = Buffer.alloc(n)
    if (Buffer.byteLength(text(v)) > n) refuse(v, `at most ${n} bytes`)
    bytes.write(text(v))
    w.put(bytes)
  },
  read: r => cString(r.bytes, r.take(n), n)
})

function many (type: Type, { count, name }: FieldShape): { write: (w: Writer, values: Values) => void, read: (r: Reader, values: Values) => unknown } {
  const ofThese = (values: Values): number => typeof count === 'string' ? integer(values[count], 0, 0xffffffff) : count ?? 1
  return {
    write: (w, values) => {
      const list = values[name]
      if (!Array.isArray(list) || list.length !== ofThese(values)) refuse(list, `a list of ${ofThese(values)} for ${name}`)
      else for (const item of list) type.write(w, item)
    },
    read: (r, values) => {
      const list = []
      for (let n = ofThese(values); n > 0; n--) list.push(type.read(r))
      return list
    }
  }
}

/** Shapes of messages by what is written of them. */
export class Codec {
  private readonly shapes = new Map<string, Type>()

  constructor (private readonly structures: Readonly<Record<string, string>>) {}

  /** Appends the fields. @throws invalid LS_V_VALUE naming the field. */
  write (w: Writer, fields: string, values: Values): void { this.shape(fields).write(w, values) }

  /** The fields that begin at `at`. @throws unavailable LS_V_SHORT */
  read (fields: string, bytes: Buffer, at: number, end: number): Values { return this.shape(fields).read(new Reader(bytes, at, end)) as Values }

  private shape (fields: string): Type {
    let known = this.shapes.get(fields)
    if (known === undefined) this.shapes.set(fields, known = this.compile(fieldsOf(fields)))
    return known
  }

  private type ({ type, bytes }: FieldShape): Type {
    if (bytes !== null) return fixedString(bytes)
    const found = plain[type]
    if (found !== undefined) return found
    const structure = this.structures[type]
    if (structure === undefined) throw new TypeError(`no such type: ${type}`)
    return this.shape(structure)
  }

  private compile (shapes: readonly FieldShape[]): Type {
    const fields = shapes.map((shape) => {
      const type = this.type(shape)
      const { name } = shape
      return { name, ...shape.count === null ? { write: (w: Writer, values: Values) => { type.write(w, values[name]) }, read: (r: Reader) => type.read(r) } : many(type, shape) }
    })
    return {
      write: (w, value) => {
        for (const { name, write } of fields) {
          try {
            write(w, value as Values)
          } catch (error) {
            throw error instanceof LockstepError && error.detail.object === undefined ? new LockstepError(error.errorClass, error.code, 'a value does not fit into a message of VPP', { ...error.detail, object: name }) : error
          }
        }
      },
      read: (r) => {
        const values: Record<string, unknown> = {}
        for (const { name, read } of fields) values[name] = read(r, values)
        return values
      }
    }
  }
}
