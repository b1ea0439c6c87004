/** States of health checks over a restart: a file of the state directory. What cannot be read is as if it had never been. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { healthStates, type HealthState } from '../contract/health.js'
import { replaceFile } from '../lib/replace-file.js'

const pathOf = (directory: string): string => join(directory, 'health.json')
const isState = (value: unknown): value is HealthState => healthStates.some(state => state === value)

export function readHealth (directory: string): Map<string, HealthState> {
  try {
    const { version, targets } = JSON.parse(readFileSync(pathOf(directory), 'utf8')) as { version?: unknown, targets?: unknown }
    if (version !== 1 || targets === null || typeof targets !== 'object') return new Map()
    return new Map(Object.entries(targets).filter((entry): entry is [string, HealthState] => isState(entry[1])))
  } catch {
    return new Map()
  }
}

export async function writeHealth (directory: string, known: ReadonlyMap<string, HealthState>): Promise<void> {
  await replaceFile(pathOf(directory), JSON.stringify({ version: 1, targets: Object.fromEntries(known) }))
}
