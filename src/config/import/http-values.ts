/** What the schema takes in a request; each returns `null`, or why it does not. */
export const pathFault = (path: string): string | null => /^\/[!-~]{0,4095}$/.test(path) ? null : 'not a path of ours: it begins with / and has no blanks; / is taken'

export const hostFault = (host: string): string | null => /^[!-~]{1,253}$/.test(host) ? null : 'not a Host header of ours: no blanks, at most 253 characters; left out'

export function bodyFault (expression: string): string | null {
  if (expression.length < 1 || expression.length > 256) return 'the expression has 1 to 256 characters here; left out'
  try {
    RegExp(expression, 'u')
    return null
  } catch {
    return 'not a regular expression of JavaScript with flag u; left out'
  }
}
