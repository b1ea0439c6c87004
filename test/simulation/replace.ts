/** Other methods in the place of real ones: to count what they do, or to plant a defect. */
import type { NativeReplica } from '../../src/native/binding.js'

/** The same replica but for one method. */
export const replacing = <K extends keyof NativeReplica>(name: K, make: (real: NativeReplica) => NativeReplica[K]) => (real: NativeReplica): NativeReplica => {
  const other = make(real)
  return new Proxy(real, {
    get: (target, property) => {
      if (property === name) return other
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    }
  })
}

/** Another method of a class until what is returned is called. */
export function patched<T extends object> (prototype: T, name: string, make: (real: (this: T, ...args: never[]) => unknown) => (this: T, ...args: never[]) => unknown): () => () => void {
  return () => {
    const all = prototype as Record<string, (this: T, ...args: never[]) => unknown>
    const real = all[name]
    if (real === undefined) throw new Error(`no method ${name}`)
    all[name] = make(real)
    return () => { all[name] = real }
  }
}
