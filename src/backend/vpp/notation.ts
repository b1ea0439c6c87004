/** The notation of messages.ts: a list of fields as text, parsed by the compiler into the type of the values and at run time into what the codec walks. */

type Trim<S extends string> = S extends ` ${infer R}` ? Trim<R> : S extends `${infer R} ` ? Trim<R> : S

interface Plain { u8: number, u16: number, u32: number, i32: number, f64: number, u64: bigint, bool: boolean, ip4: string, ip6: string, mac: string, address: string, prefix: string, string: string }

type Value<T extends string, X> =
  T extends keyof Plain ? Plain[T]
    : T extends `string[${string}]` ? string
      : T extends keyof X ? X[T] extends string ? FieldsOf<X[T], X> : never
        : never

type Field<S extends string, X> =
  S extends `${infer T} ${infer N}[${string}]` ? { readonly [K in Trim<N>]: ReadonlyArray<Value<T, X>> }
    : S extends `${infer T} ${infer N}` ? { readonly [K in Trim<N>]: Value<T, X> }
      : unknown

/** `X`: structures by name. */
export type FieldsOf<S extends string, X> = S extends `${infer Head}, ${infer Rest}` ? Field<Trim<Head>, X> & FieldsOf<Rest, X> : Field<Trim<S>, X>

export interface FieldShape {
  readonly name: string
  readonly type: string
  /** Of a fixed string. */
  readonly bytes: number | null
  /** `null`: one value; a number: so many; a name: as many as that field says. */
  readonly count: number | string | null
}

export function fieldsOf (text: string): FieldShape[] {
  return text === '' ? [] : text.split(', ').map((field) => {
    const [, type = '', bytes, name = '', count] = /^(\w+)(?:\[(\d+)\])? (\w+)(?:\[(\w+)\])?$/.exec(field) ?? []
    if (name === '') throw new TypeError(`not a field: ${field}`)
    return { name, type, bytes: bytes === undefined ? null : Number(bytes), count: count === undefined ? null : /^\d+$/.test(count) ? Number(count) : count }
  })
}
