/** What every change may ask for beside itself: that a certain generation runs, to be tried only, to be made once however often it is asked for. */
import type { handleUnaryCall } from '@grpc/grpc-js'
import { createHash } from 'node:crypto'
import { RequestMemory } from '../config/index.js'
import { LockstepError } from '../contract/errors.js'
import type { Mutation } from '../generated/proto/lockstep/v1/mutation.js'
import { toJson } from '../lib/json.js'
import { unary, type CallContext, type OnBug } from './handler.js'
import type { Operations } from './operations.js'

const ID_BYTES_MAX = 128
const TTL_MS = 600_000
const KNOWN_MAX = 1000

export interface MutationContext extends CallContext {
  /** Change nothing, and say what would be. */
  readonly dryRun: boolean
}

/** Of one service. */
export class Mutations {
  private readonly memory = new RequestMemory<unknown>({ now: () => performance.now() }, TTL_MS, KNOWN_MAX)

  /** `generation`: that runs, 0 before the first. */
  constructor (private readonly onBug: OnBug, private readonly operations: Operations, private readonly generation: () => Promise<number>) {}

  /** A change whose request has its own words for what Mutation says. */
  operation<Req extends { readonly requestId: string, readonly detached?: boolean | undefined }, Res> (handle: (request: Req, context: CallContext) => Promise<Res>): handleUnaryCall<Req, Res> {
    return unary<Req, Res>(this.onBug, async (request, context) => {
      bounded('request_id', request.requestId)
      return await this.operations.run(context, { requestId: request.requestId, detached: request.detached ?? false, request }, async (signal) => await handle(request, { ...context, signal }))
    })
  }

  method<Req extends { readonly mutation?: Mutation | undefined }, Res> (handle: (request: Req, context: MutationContext) => Res | Promise<Res>): handleUnaryCall<Req, Res> {
    return unary<Req, Res>(this.onBug, async (request, context) => {
      const { expectedGeneration, dryRun = false, requestId = '', detached = false } = request.mutation ?? {}
      bounded('mutation.request_id', requestId)
      const make = async (): Promise<Res> => await this.operations.run(context, { requestId, detached, request }, async (signal) => {
        if (expectedGeneration !== undefined) await this.expect(expectedGeneration)
        return await handle(request, { ...context, signal, dryRun })
      })
      if (dryRun || requestId === '') return await make()
      const content = createHash('sha256').update(toJson([context.method, request])).digest('hex')
      return await this.memory.once(`${context.caller ?? ''} ${requestId}`, content, make) as Res
    })
  }

  private async expect (expected: bigint): Promise<void> {
    const running = await this.generation()
    if (BigInt(running) !== expected) throw new LockstepError('stale', 'LS_C_STALE', 'another generation is running', { object: 'config', found: `generation ${running}`, expected: `generation ${expected}`, next: 'read what runs and decide again' })
  }
}

/** An id is kept with its operation. */
function bounded (object: string, id: string): void {
  const bytes = Buffer.byteLength(id)
  if (bytes > ID_BYTES_MAX) throw new LockstepError('invalid', 'LS_R_TOO_LONG', 'the text is too long', { object, found: `${bytes} bytes`, expected: `at most ${ID_BYTES_MAX}` })
}
