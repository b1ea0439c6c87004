/** What is known of the targets of health checks, over a restart: a file of the state directory. What cannot be read is as if it had never been. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { healthStates, nothingKnown, type HealthState, type KnownHealth } from '../contract/health.js'
import { replaceFile } from '../lib/replace-file.js'

const pathOf = (directory: string): string => join(directory, 'health.json')
const isState = (value: unknown): value is HealthState => healthStates.some(state => state === value)
const isShare = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value < 100
const those = <T> (value: unknown, is: (one: unknown) => one is T): Map<string, T> => new Map(Object.entries(value ?? {}).filter((entry): entry is [string, T] => is(entry[1])))

export function readHealth (directory: string): KnownHealth {
  try {
    const { version, targets, shares } = JSON.parse(readFileSync(pathOf(directory), 'utf8')) as { version?: unknown, targets?: unknown, shares?: unknown }
    return version === 1 ? { states: those(targets, isState), shares: those(shares, isShare) } : nothingKnown
  } catch {
    return nothingKnown
  }
}

export async function writeHealth (directory: string, { states, shares }: KnownHealth): Promise<void> {
  await replaceFile(pathOf(directory), JSON.stringify({ version: 1, targets: Object.fromEntries(states), shares: Object.fromEntries(shares) }))
}
