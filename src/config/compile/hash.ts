/**
 * The open-addressed tables of a bank. The C readers (config.h, pipeline/lookup.h) hash the same words with the same step, look at
 * LS_HASH_PROBES places at most and stop at an empty one. Definition and vectors: docs/design/0004-configuration.md.
 */
import { limits } from '../../generated/layout.js'
import { addressBytes } from '../../lib/address.js'

/** ls_config_hash_step of config.h. */
export function hashStep (h: number, word: number): number {
  let x = Math.imul((h ^ word) >>> 0, 0x9e3779b1) >>> 0
  x = (x ^ x >>> 15) >>> 0
  return x
}

export const hashWords = (seed: number, words: readonly number[]): number => words.reduce(hashStep, seed >>> 0)

/** An address as the four little-endian words that C loads. */
function addressWords (value: bigint): number[] {
  const view = new DataView(addressBytes(value).buffer)
  return [0, 4, 8, 12].map(at => view.getUint32(at, true))
}

/** A port as the number that a little-endian load of its two network-order bytes gives. */
const portWord = (port: number): number => (port & 0xff) << 8 | port >>> 8

export const ifaceKey = (device: number, outer: number, inner: number): number[] => [device | outer << 16, inner]
export const localKey = (address: bigint, domain: number): number[] => [...addressWords(address), domain]
export const vipKey = (address: bigint, port: number, proto: number, prefix: number, domain: number): number[] =>
  [...addressWords(address), (portWord(port) | proto << 16 | prefix << 24) >>> 0, domain]

/** Entry index per place, -1 = empty; `null` when some entry would lie beyond the last probe. Poor entries displace rich ones (Robin
 * Hood), which keeps the longest probe short and is a valid order of insertion for a reader that stops at an empty place. */
export function placeAll (keys: ReadonlyArray<readonly number[]>, size: number, seed: number): Int32Array | null {
  const places = new Int32Array(size).fill(-1)
  const distance = new Uint8Array(size)
  for (let entry = 0; entry < keys.length; entry++) {
    let carried = entry
    let probe = 0
    let at = hashWords(seed, keys[entry] ?? []) & (size - 1)
    for (;;) {
      if (probe >= limits.LS_HASH_PROBES) return null
      const there = places[at] ?? -1
      if (there === -1) {
        places[at] = carried
        distance[at] = probe
        break
      }
      const theirs = distance[at] ?? 0
      if (theirs < probe) {
        places[at] = carried
        distance[at] = probe
        carried = there
        probe = theirs
      }
      at = (at + 1) & (size - 1)
      probe++
    }
  }
  return places
}

export interface HashTable { readonly name: string, readonly keys: ReadonlyArray<readonly number[]>, readonly size: number }

const seedsTried = 4096

/** The first seed with which every table fits, and their places; `null` = none of `seedsTried`. */
export function chooseSeed (tables: readonly HashTable[], first = 1): { readonly seed: number, readonly places: readonly Int32Array[] } | null {
  for (let n = 0; n < seedsTried; n++) {
    const seed = Math.imul(first + n, 0x85ebca6b) >>> 0
    const places: Int32Array[] = []
    for (const table of tables) {
      const placed = placeAll(table.keys, table.size, seed)
      if (placed === null) break
      places.push(placed)
    }
    if (places.length === tables.length) return { seed, places }
  }
  return null
}
