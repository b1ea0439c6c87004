/**
 * lockstep.v1.Config over the configuration authority. A refused text comes back as INVALID_ARGUMENT with a violation for every
 * error, so that a caller of Apply alone sees them all at once.
 */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { ConfigError } from '../config/index.js'
import { LockstepError } from '../contract/errors.js'
import type { AgentServices, ApplyOptions, ConfigAuthority, GenerationInfo, PlanStep } from '../contract/services.js'
import {
  ConfigText, Generation, GenerationSource, GenerationState, PlanAction,
  type ConfigApplyRequest, type ConfigApplyResponse, type ConfigCheckRequest, type ConfigCheckResponse, type ConfigCompareRequest,
  type ConfigCompareResponse, type ConfigConfirmRequest, type ConfigConfirmResponse, type ConfigGetStatusRequest,
  type ConfigGetStatusResponse, type ConfigGetTextRequest, type ConfigGetTextResponse, type ConfigHistoryRequest,
  type ConfigHistoryResponse, type ConfigRollbackRequest, type ConfigRollbackResponse, type ConfigSaveRequest,
  type ConfigSaveResponse, type PlanStep as PlanStepMessage
} from '../generated/proto/lockstep/v1/config.js'
import { VIOLATIONS_MAX, type Violation } from './error-status.js'
import { RefusedError, unary, type CallContext } from './handler.js'
import { listed } from './listing.js'
import type { ServiceNeeds } from './needs.js'
import { Turnstile } from './turns.js'

/** With room to spare below the 4 MiB that clients receive by default. */
const TEXT_BYTES_MAX = 2 << 20
const CONFIRM_MS_MIN = 1000
const CONFIRM_MS_MAX = 24 * 3600 * 1000

const sources = {
  file: GenerationSource.GENERATION_SOURCE_FILE,
  grpc: GenerationSource.GENERATION_SOURCE_GRPC,
  rollback: GenerationSource.GENERATION_SOURCE_ROLLBACK,
  startup: GenerationSource.GENERATION_SOURCE_STARTUP,
  peer: GenerationSource.GENERATION_SOURCE_PEER
} as const satisfies Record<GenerationInfo['source'], GenerationSource>

const states = {
  running: GenerationState.GENERATION_STATE_RUNNING,
  unconfirmed: GenerationState.GENERATION_STATE_UNCONFIRMED,
  superseded: GenerationState.GENERATION_STATE_SUPERSEDED,
  'rolled-back': GenerationState.GENERATION_STATE_ROLLED_BACK,
  failed: GenerationState.GENERATION_STATE_FAILED
} as const satisfies Record<GenerationInfo['state'], GenerationState>

const actions = {
  add: PlanAction.PLAN_ACTION_ADD,
  change: PlanAction.PLAN_ACTION_CHANGE,
  remove: PlanAction.PLAN_ACTION_REMOVE,
  keep: PlanAction.PLAN_ACTION_KEEP
} as const satisfies Record<PlanStep['action'], PlanAction>

export function configImplementation (services: AgentServices, { onBug, mutations }: ServiceNeeds): UntypedServiceImplementation {
  const { config } = services
  // Reading a text takes a thread of the agent's pool for as long as the text is; the other one is left to who applies.
  const checks = new Turnstile('checks of a configuration', 1, 16)
  return {
    getStatus: unary<ConfigGetStatusRequest, ConfigGetStatusResponse>(onBug, async () => {
      const s = await config.status()
      return {
        running: s.running === null ? undefined : generationMessage(s.running),
        startupHash: s.startupHash ?? undefined,
        drift: s.drift,
        unconfirmed: s.unconfirmed === null ? undefined : generationMessage(s.unconfirmed)
      }
    }),

    getText: unary<ConfigGetTextRequest, ConfigGetTextResponse>(onBug, async (request) =>
      ({ text: await config.text(request.which === ConfigText.CONFIG_TEXT_STARTUP ? 'startup' : 'running') })),

    check: unary<ConfigCheckRequest, ConfigCheckResponse>(onBug, async (request, { signal }) => {
      const text = boundedText(request.text)
      const r = await checks.run(signal, async () => await config.check(text, signal))
      return {
        ok: r.ok,
        issues: r.issues.map((i) => ({ path: i.path, line: i.line ?? undefined, column: i.column ?? undefined, code: i.code, message: i.message, found: i.found, expected: i.expected })),
        warnings: [...r.warnings],
        plan: r.plan.map(planMessage)
      }
    }),

    apply: mutations.operation<ConfigApplyRequest, ConfigApplyResponse>(async (request, context) => {
      const text = boundedText(request.text)
      try {
        return applied(await config.apply(text, applyOptions(request, context, 'grpc'), context.signal))
      } catch (error) {
        throw withViolations(error)
      }
    }),

    rollback: mutations.operation<ConfigRollbackRequest, ConfigRollbackResponse>(async (request, context) =>
      applied(await config.rollback(generationNumber(request.generation), applyOptions(request, context, 'rollback'), context.signal))),

    confirm: mutations.method<ConfigConfirmRequest, ConfigConfirmResponse>(async (request, { dryRun }) => {
      const waiting = (await config.status()).unconfirmed
      const number = request.generation === 0n ? waiting?.generation : generationNumber(request.generation)
      if (number === undefined) {
        throw new LockstepError('stale', 'LS_R_NOTHING_TO_CONFIRM', 'no generation waits for its confirmation', { object: 'config', next: 'look at the history: it may have rolled back' })
      }
      if (dryRun && waiting?.generation !== number) throw new LockstepError('stale', 'LS_C_NOT_UNCONFIRMED', 'the generation does not wait for a confirmation', { object: `generation ${number}`, expected: waiting === null ? 'none waits' : `generation ${waiting.generation}` })
      return { generation: generationMessage(dryRun && waiting !== null ? waiting : await config.confirm(number)) }
    }),

    history: unary<ConfigHistoryRequest, ConfigHistoryResponse>(onBug, async (request) => {
      const all = [...await config.history()].sort((a, b) => b.generation - a.generation)
      const { rows: generations, nextPageToken } = listed((request.limit === 0 ? all : all.slice(0, request.limit)).map(generationMessage), g => String(g.generation), request.listing, Generation)
      return { generations, nextPageToken }
    }),

    compare: unary<ConfigCompareRequest, ConfigCompareResponse>(onBug, async (request, { signal }) => {
      const running = (await config.status()).running?.generation ?? 0
      const to = request.toGeneration === 0n ? running : generationNumber(request.toGeneration)
      const from = request.fromGeneration === 0n ? await previousOf(config, to) : generationNumber(request.fromGeneration)
      const plan = await checks.run(signal, async () => await config.compare(from, to, signal))
      return { plan: plan.filter((s) => s.action !== 'keep').map(planMessage) }
    }),

    save: mutations.method<ConfigSaveRequest, ConfigSaveResponse>(async (_request, { dryRun }) => {
      if (!dryRun) await config.save()
      const { running } = await config.status()
      return { generation: running === null ? undefined : generationMessage(running) }
    })
  }
}

type Applied = Awaited<ReturnType<ConfigAuthority['apply']>>

function applied ({ info, result, plan }: Applied): ConfigApplyResponse {
  return { generation: generationMessage(info), plan: plan.map(planMessage), warnings: [...result.warnings], totalMs: result.durations.totalMs }
}

export function generationMessage (g: GenerationInfo): Generation {
  return {
    generation: BigInt(g.generation),
    appliedAtMs: BigInt(Math.round(g.appliedAt)),
    author: g.author,
    comment: g.comment,
    source: sources[g.source],
    hash: g.hash,
    state: states[g.state],
    confirmByMs: g.confirmBy === null ? undefined : BigInt(Math.round(g.confirmBy))
  }
}

function planMessage (step: PlanStep): PlanStepMessage {
  return { action: actions[step.action], kind: step.kind, name: step.name, detail: step.detail }
}

function applyOptions (request: ConfigApplyRequest | ConfigRollbackRequest, { caller }: CallContext, source: ApplyOptions['source']): ApplyOptions {
  return {
    author: authorOf(bounded('author', request.author, 256), caller),
    comment: bounded('comment', request.comment, 1024),
    source,
    expectedGeneration: request.expectedGeneration === undefined ? null : generationNumber(request.expectedGeneration),
    confirmWithinMs: request.confirmWithinMs === undefined ? null : confirmWithin(Number(request.confirmWithinMs)),
    requestId: request.requestId === '' ? null : request.requestId,
    dryRun: request.dryRun
  }
}

/** A verified identity cannot be written over: what the request claims stands beside it. */
function authorOf (claimed: string, caller: string | null): string {
  if (caller === null) return claimed === '' ? 'grpc' : claimed
  return claimed === '' || claimed === caller ? caller : `${caller} (${claimed})`
}

function confirmWithin (ms: number): number {
  if (ms < CONFIRM_MS_MIN || ms > CONFIRM_MS_MAX) {
    throw new LockstepError('invalid', 'LS_R_CONFIRM', 'the time to confirm is out of range', { object: 'confirm_within_ms', found: String(ms), expected: `${CONFIRM_MS_MIN} to ${CONFIRM_MS_MAX}` })
  }
  return ms
}

function generationNumber (value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new LockstepError('invalid', 'LS_R_GENERATION', 'no such generation', { object: 'generation', found: String(value), expected: `at most ${Number.MAX_SAFE_INTEGER}`, next: 'lockstep history shows them' })
  return Number(value)
}

function bounded (field: string, value: string, bytesMax: number): string {
  const bytes = Buffer.byteLength(value)
  if (bytes > bytesMax) throw new LockstepError('invalid', 'LS_R_TOO_LONG', 'the text is too long', { object: field, found: `${bytes} bytes`, expected: `at most ${bytesMax}` })
  return value
}

const boundedText = (text: string): string => bounded('text', text, TEXT_BYTES_MAX)

async function previousOf (config: ConfigAuthority, generation: number): Promise<number> {
  const earlier = (await config.history()).map((g) => g.generation).filter((g) => g < generation)
  if (earlier.length === 0) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'there is no earlier generation', { object: `generation ${generation}`, next: 'lockstep history shows which are kept' })
  return Math.max(...earlier)
}

/** Every error of a refused text, beside the error that refused it. */
function withViolations (error: unknown): unknown {
  if (!(error instanceof ConfigError) || error.errorClass !== 'invalid') return error
  const violations: Violation[] = error.issues.slice(0, VIOLATIONS_MAX).map((i) => ({
    field: i.path,
    reason: i.code,
    description: `${i.line === null ? '' : `line ${i.line}: `}${i.message}${i.found === '' ? '' : `: found ${i.found}`}${i.expected === '' ? '' : `, expected ${i.expected}`}`
  }))
  return new RefusedError(error, violations)
}
