/** What may have been announced by the agent before this one: a place that is no longer configured is emptied. What cannot be read is as if it had never been. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFile } from '../../lib/replace-file.js'

/** Where, and every prefix that may be there. */
export interface Announced {
  readonly kernelTable: number | null
  readonly gobgp: string | null
  readonly prefixes: readonly string[]
}

const pathOf = (directory: string): string => join(directory, 'bgp-announce.json')

export function readAnnounced (directory: string): Announced | null {
  try {
    const { version, kernelTable, gobgp, prefixes } = JSON.parse(readFileSync(pathOf(directory), 'utf8')) as Readonly<Record<string, unknown>>
    const good = version === 1 && (kernelTable === null || Number.isInteger(kernelTable)) && (gobgp === null || typeof gobgp === 'string') && Array.isArray(prefixes) && prefixes.every(prefix => typeof prefix === 'string')
    return good ? { kernelTable: kernelTable as number | null, gobgp, prefixes: prefixes as string[] } : null
  } catch {
    return null
  }
}

export async function writeAnnounced (directory: string, announced: Announced): Promise<void> {
  await replaceFile(pathOf(directory), JSON.stringify({ version: 1, ...announced }))
}
