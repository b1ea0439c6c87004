/** Values of JSON that a tool printed, each asked for as what it should be. */
export type Json = Readonly<Record<string, unknown>>

export function parseArray (text: string): Json[] {
  return array(JSON.parse(text === '' ? '[]' : text)).map(object)
}

export const array = (value: unknown): unknown[] => {
  if (!Array.isArray(value)) throw new Error(`${describe(value)} where a list should be`)
  return value as unknown[]
}
export const object = (value: unknown): Json => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${describe(value)} where an object should be`)
  return value as Json
}
export const list = (value: unknown): unknown[] => value === undefined || value === null ? [] : array(value)
export const text = (value: unknown): string => typeof value === 'string' ? value : ''
export const number = (value: unknown): number => typeof value === 'number' ? value : 0

const describe = (value: unknown): string => JSON.stringify(value)?.slice(0, 60) ?? 'nothing'
