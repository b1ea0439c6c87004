/** Values that many hold are written by nobody: in development a write throws where it happens. */

const production = process.env['NODE_ENV'] === 'production'

/** Frozen, with all that is in it; not in production, where it is left as it is. Bytes cannot be frozen. */
export function frozen<V> (value: V): V {
  if (production || typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  for (const inner of Object.values(value)) frozen(inner)
  return Object.freeze(value)
}
