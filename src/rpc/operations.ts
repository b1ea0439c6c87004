/**
 * Changes as operations: each has an id, which its caller learns at once, and an end, which is kept for whoever asks. One that is detached outlives its caller. Bounded:
 * so many under way, so many that ended, answers up to a size. Thread: the server's, and with it they go.
 */
import { randomBytes } from 'node:crypto'
import { status } from '@grpc/grpc-js'
import type { DebugTable } from '../contract/debug.js'
import { LockstepError } from '../contract/errors.js'
import type { AgentEvent } from '../contract/events.js'
import { OperationState, type Operation } from '../generated/proto/lockstep/v1/operations.js'
import { debugTable } from '../telemetry/debug/table.js'
import { auditEvent, OPERATION_METADATA, requestText } from './audit.js'
import { statusOfError } from './error-status.js'
import type { CallContext } from './handler.js'

const UNDER_WAY_MAX = 256
const ENDED_MAX = 200
const RESPONSE_BYTES_MAX = 64 << 10

interface Entry {
  readonly id: string
  readonly number: number
  readonly method: string
  readonly caller: string
  readonly requestId: string
  readonly request: string
  readonly detached: boolean
  readonly since: number
  readonly began: number
  readonly abort: AbortController
  readonly waiters: Set<() => void>
  state: OperationState
  tookMs: number
  cancelAsked: boolean
  response: Buffer
  error: Operation['error']
}

export interface Begin {
  readonly requestId: string
  readonly detached: boolean
  readonly request: unknown
}

/** Bytes of an answer, by the path of its method. */
export type Serialize = (method: string, response: unknown) => Buffer

export class Operations {
  private readonly entries = new Map<string, Entry>()
  private readonly prefix = randomBytes(4).toString('hex')
  private last = 0

  /** `tell`: of each that ended, who asked for what and what came of it. */
  constructor (private readonly serialize: Serialize, private readonly tell: (event: AgentEvent) => void, private readonly now: () => number = Date.now) {}

  /** Makes the change under an id. `context.signal` fires when the caller leaves; the signal that the change gets does so unless it is detached. @throws exhausted LS_R_TOO_MANY */
  async run<Res> (context: CallContext, { requestId, detached, request }: Begin, make: (signal: AbortSignal) => Promise<Res>): Promise<Res> {
    const underWay = [...this.entries.values()].filter(({ state }) => state === OperationState.OPERATION_STATE_RUNNING).length
    if (underWay >= UNDER_WAY_MAX) throw new LockstepError('exhausted', 'LS_R_TOO_MANY', 'too many at once', { object: 'operations', found: String(underWay), expected: `at most ${UNDER_WAY_MAX}`, next: 'try again later' })
    const entry: Entry = {
      id: `${this.prefix}-${++this.last}`, number: this.last, method: context.method.slice(1), caller: context.caller ?? '', requestId, request: requestText(request), detached, since: this.now(), began: performance.now(),
      abort: new AbortController(), waiters: new Set(), state: OperationState.OPERATION_STATE_RUNNING, tookMs: 0, cancelAsked: false, response: Buffer.alloc(0), error: undefined
    }
    this.entries.set(entry.id, entry)
    context.announce(OPERATION_METADATA, entry.id)
    const left = (): void => { if (!detached) entry.abort.abort(context.signal.reason) }
    context.signal.addEventListener('abort', left)
    try {
      const response = await make(entry.abort.signal)
      const bytes = this.serialize(context.method, response)
      if (bytes.length <= RESPONSE_BYTES_MAX) entry.response = bytes
      this.end(entry, OperationState.OPERATION_STATE_DONE)
      return response
    } catch (error) {
      const { code, details } = statusOfError(error)
      entry.error = { grpcCode: code, code: error instanceof LockstepError ? error.code : '', message: details }
      this.end(entry, entry.abort.signal.aborted ? OperationState.OPERATION_STATE_CANCELED : OperationState.OPERATION_STATE_FAILED)
      throw error
    } finally {
      context.signal.removeEventListener('abort', left)
    }
  }

  /** The newest first, without their answers: those of all of them may be more than one message takes. */
  list (): readonly Operation[] { return this.newestFirst().map(entry => ({ ...messageOf(entry), response: Buffer.alloc(0) })) }

  /** @throws stale LS_E_NOT_FOUND */
  get (id: string): Operation { return messageOf(this.find(id)) }

  /** Resolves when it has ended, after `ms`, or when the signal fires. */
  async ended (id: string, ms: number, signal: AbortSignal): Promise<void> {
    const entry = this.find(id)
    if (entry.state !== OperationState.OPERATION_STATE_RUNNING || signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        entry.waiters.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      entry.waiters.add(done)
      signal.addEventListener('abort', done)
    })
  }

  /** `by`: null is this host, which may cancel anybody's. @throws stale LS_E_NOT_FOUND, stale LS_R_ENDED, unavailable LS_E_PERMISSION */
  cancel (id: string, by: string | null, dryRun: boolean): Operation {
    const entry = this.find(id)
    if (by !== null && by !== entry.caller) throw new LockstepError('unavailable', 'LS_E_PERMISSION', 'the operation is somebody else\'s', { object: `operation ${id}`, found: entry.caller === '' ? 'somebody on the agent\'s host' : entry.caller, expected: by, next: 'cancel it as its caller, or on the host of the agent' })
    if (entry.state !== OperationState.OPERATION_STATE_RUNNING) throw new LockstepError('stale', 'LS_R_ENDED', 'the operation has ended', { object: `operation ${id}`, next: 'get it: its answer is kept' })
    if (!dryRun) {
      entry.cancelAsked = true
      entry.abort.abort(new LockstepError('unavailable', 'LS_E_CANCELLED', `cancelled by ${by ?? 'somebody on the agent\'s host'}`, { object: `operation ${id}` }))
    }
    return messageOf(entry)
  }

  readonly table: DebugTable = debugTable<Entry>({
    name: 'operations', group: 'surfaces', about: 'Changes that were asked for, under way and ended', source: 'gRPC thread', access: 'operator',
    columns: {
      id: ['id', o => o.id], method: ['text', o => o.method], caller: ['text', o => o.caller === '' ? 'local' : o.caller], state: ['text', o => wordOf(o.state)], detached: ['text', o => o.detached ? 'yes' : ''],
      since: ['time', o => o.since], took: ['duration', tookMs], request: ['text', o => o.request], cause: ['text', o => o.error?.message ?? '']
    },
    count: () => this.entries.size,
    read: () => this.newestFirst(),
    tone: ({ state }) => state === OperationState.OPERATION_STATE_FAILED ? 'bad' : state === OperationState.OPERATION_STATE_CANCELED ? 'warn' : ''
  })

  /** By when they began, which does not change when they end. */
  private newestFirst (): Entry[] { return [...this.entries.values()].sort((a, b) => b.number - a.number) }

  private find (id: string): Entry {
    const entry = this.entries.get(id)
    if (entry === undefined) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such operation', { object: `operation ${id.slice(0, 64)}`, next: 'list the operations; those of an agent that ended are forgotten' })
    return entry
  }

  private end (entry: Entry, state: OperationState): void {
    entry.state = state
    entry.tookMs = performance.now() - entry.began
    // In the order of their ends: what took long is not forgotten first.
    this.entries.delete(entry.id)
    this.entries.set(entry.id, entry)
    const ended = [...this.entries.values()].filter(({ state }) => state !== OperationState.OPERATION_STATE_RUNNING)
    for (const { id } of ended.slice(0, Math.max(0, ended.length - ENDED_MAX))) this.entries.delete(id)
    for (const wake of [...entry.waiters]) wake()
    const { method, caller, request, error, tookMs } = entry
    this.tell(auditEvent({ method, caller, request, code: error?.grpcCode ?? status.OK, reason: error?.message ?? '', tookMs }))
  }
}

const tookMs = (entry: Entry): number => entry.state === OperationState.OPERATION_STATE_RUNNING ? performance.now() - entry.began : entry.tookMs
const wordOf = (state: OperationState): string => state.slice('OPERATION_STATE_'.length).toLowerCase()

const messageOf = (entry: Entry): Operation => ({
  id: entry.id, method: entry.method, caller: entry.caller, requestId: entry.requestId, request: entry.request, detached: entry.detached, state: entry.state, startedAtMs: BigInt(entry.since),
  tookMs: tookMs(entry), response: entry.response, error: entry.error, cancelAsked: entry.cancelAsked
})
