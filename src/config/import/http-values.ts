/** What the schema takes in a request; each returns `null`, or why it does not. */
import { healthLimits as max, requestPatterns } from '../../contract/health-limits.js'
import { patternFault } from '../units.js'

const fits = (text: string, pattern: string, most: number): boolean => text.length <= most && RegExp(pattern).test(text)

export const pathFault = (path: string): string | null => fits(path, requestPatterns.path, max.pathCharsMax) ? null : 'not a path of ours: it begins with / and has no blanks; / is taken'

export const hostFault = (host: string): string | null => fits(host, requestPatterns.host, max.hostCharsMax) ? null : `not a Host header of ours: no blanks, at most ${max.hostCharsMax} characters; left out`

export function bodyFault (expression: string): string | null {
  if (expression.length < 1 || expression.length > max.bodyPatternCharsMax) return `the expression has 1 to ${max.bodyPatternCharsMax} characters here; left out`
  return patternFault(expression) === null ? null : 'not a regular expression of JavaScript with flag u; left out'
}
