/** The fields of an event, as words of a line and as an object. */
import type { EventField } from '../generated/proto/lockstep/v1/cluster.js'

export const fieldWords = (fields: readonly EventField[]): string[] => fields.map(({ name, value }) => `${name}=${value?.value ?? '-'}`)
export const fieldObject = (fields: readonly EventField[]): Record<string, string | number | null> => Object.fromEntries(fields.map(({ name, value }) => [name, value?.value ?? null]))
