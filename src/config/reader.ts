/**
 * Reading texts: the part of a change whose work grows with the text. Pure functions of plain data, so that threads of a pool can do it while the
 * authority's thread goes on; `readHere` does it where it is called.
 */
import type { Capability } from '../contract/dataplane.js'
import type { CheckResult, ConfigIssue, PlanStep } from '../contract/services.js'
import { parseConfig, type ParseOptions, type ParseResult } from './parse.js'
import { planConfig } from './plan.js'
import { unsupportedIssues } from './requires.js'

export interface ReadJob {
  readonly text: string
  readonly options: ParseOptions
  /** Of the backend: what it denies is an issue. */
  readonly capabilities: readonly Capability[]
}
export type ReadText = Pick<ParseResult, 'desired' | 'issues' | 'warnings' | 'hash'>

/** From the text `from`; `null`: from nothing. */
export interface PlanJob extends ReadJob { readonly from: string | null }

export interface LocateJob { readonly text: string, readonly options: ParseOptions, readonly issues: readonly ConfigIssue[] }

export interface Reader {
  readonly read: (job: ReadJob, signal: AbortSignal) => Promise<ReadText>
  readonly check: (job: PlanJob, signal: AbortSignal) => Promise<CheckResult>
  /** `null`: one of the texts cannot be used any more. */
  readonly compare: (job: PlanJob, signal: AbortSignal) => Promise<readonly PlanStep[] | null>
  /** Gives issues found by a backend their place in the text. */
  readonly locate: (job: LocateJob, signal: AbortSignal) => Promise<readonly ConfigIssue[]>
}

export function readText ({ text, options, capabilities }: ReadJob): ReadText {
  const { desired, issues, warnings, hash, located } = parseConfig(text, options)
  const unsupported = desired === null ? [] : unsupportedIssues(desired, capabilities)
  return unsupported.length === 0 ? { desired, issues, warnings, hash } : { desired: null, issues: located(unsupported), warnings, hash }
}

export function checkPlan (job: PlanJob): CheckResult {
  const { desired, issues, warnings } = readText(job)
  const from = job.from === null || desired === null ? null : parseConfig(job.from, job.options).desired
  return { ok: desired !== null, issues, warnings, plan: desired === null ? [] : planConfig(from, desired) }
}

export function compareTexts (job: PlanJob): readonly PlanStep[] | null {
  const { desired } = readText(job)
  const from = job.from === null ? null : readText({ ...job, text: job.from }).desired
  return desired === null || (job.from !== null && from === null) ? null : planConfig(from, desired)
}

export const locateIssues = ({ text, options, issues }: LocateJob): readonly ConfigIssue[] => parseConfig(text, options).located(issues)

export const readHere: Reader = {
  read: async (job) => await Promise.resolve(readText(job)),
  check: async (job) => await Promise.resolve(checkPlan(job)),
  compare: async (job) => await Promise.resolve(compareTexts(job)),
  locate: async (job) => await Promise.resolve(locateIssues(job))
}
