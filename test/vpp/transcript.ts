/** Conversations recorded from a real VPP (test/fixtures/vpp/README.md): what a client wrote and what came back, frame by frame. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/native/load.js'

export const vppFixtures = join(packageRoot(), 'test/fixtures/vpp')
const folder = join(vppFixtures, 'transcripts')

export interface Frame {
  readonly i: number
  readonly dir: 'c2s' | 's2c' | 'env' | 'silence' | 'eof'
  /** `name_crc`. */
  readonly msg?: string
  readonly id?: number
  /** Of an answer: position of its request. */
  readonly re?: number
  readonly context?: number
  /** Whole frame with its header. */
  readonly bytes: Buffer
  readonly fields?: Readonly<Record<string, unknown>>
  readonly event?: boolean
  /** Of a UDP payload: `src:port>dst:port`. */
  readonly udp?: string
  readonly unknown?: boolean
  readonly note?: string
}

export interface Transcript {
  readonly file: string
  readonly title: string
  /** Which process of VPP: ids of messages are those of it. */
  readonly instance: 'main' | 'worker' | 'no_lb'
  readonly clientName: string
  readonly frames: readonly Frame[]
}

interface Raw {
  readonly title: string
  readonly instance: Transcript['instance']
  readonly client_name: string
  readonly frames: ReadonlyArray<Omit<Frame, 'bytes'> & { readonly hex?: string, readonly tail?: { readonly file: string, readonly frame: number, readonly offset: number } }>
}

const raw = (file: string): Raw => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Raw

export const transcriptFiles = readdirSync(folder).filter((file) => file.endsWith('.json')).sort()

export function transcriptOf (file: string): Transcript {
  const { title, instance, client_name: clientName, frames } = raw(file)
  return {
    file, title, instance, clientName,
    frames: frames.map(({ hex = '', tail, ...frame }) => ({ ...frame, bytes: Buffer.concat([Buffer.from(hex, 'hex'), ...tail === undefined ? [] : [Buffer.from(raw(tail.file).frames[tail.frame]?.hex ?? '', 'hex').subarray(tail.offset)]]) }))
  }
}
