/** States of health checks over a restart: a file of the state directory, replaced whole. What cannot be read is as if it had never been. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HealthState } from '../contract/health.js'
import type { Health } from '../health/machine.js'

const FILE = 'health.json'
const states: readonly HealthState[] = ['unknown', 'up', 'down', 'paused', 'disabled']

const isHealth = (value: unknown): value is Health => {
  const { state, count } = (value ?? {}) as Partial<Health>
  return states.some(known => known === state) && Number.isSafeInteger(count)
}

export function readHealth (directory: string): Map<string, Health> {
  try {
    const { version, targets } = JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as { version?: unknown, targets?: unknown }
    if (version !== 1 || targets === null || typeof targets !== 'object') return new Map()
    return new Map(Object.entries(targets).filter((entry): entry is [string, Health] => isHealth(entry[1])))
  } catch {
    return new Map()
  }
}

/** @throws when the directory cannot be written to; what was there stays. */
export function writeHealth (directory: string, known: ReadonlyMap<string, Health>): void {
  const path = join(directory, FILE)
  writeFileSync(`${path}.new`, JSON.stringify({ version: 1, targets: Object.fromEntries(known) }), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
