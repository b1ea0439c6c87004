/** lockstep.v1.Operations. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import {
  Operation, OperationState, type OperationsCancelRequest, type OperationsCancelResponse, type OperationsGetRequest, type OperationsGetResponse, type OperationsListRequest, type OperationsListResponse, type OperationsWatchRequest,
  type OperationsWatchResponse
} from '../generated/proto/lockstep/v1/operations.js'
import { streaming, unary } from './handler.js'
import { listed } from './listing.js'
import type { ServiceNeeds } from './needs.js'
import type { Operations } from './operations.js'
import { Seats } from './turns.js'

const WATCHERS_MAX = 256
const WATCH_PROGRESS_MS = 15_000

export function operationsImplementation (operations: Operations, { onBug, mutations }: ServiceNeeds): UntypedServiceImplementation {
  const seats = new Seats('watchers of operations', WATCHERS_MAX)
  return {
    list: unary<OperationsListRequest, OperationsListResponse>(onBug, ({ running, requestId, listing }) => {
      const found = operations.list().filter(o => (!running || o.state === OperationState.OPERATION_STATE_RUNNING) && (requestId === '' || o.requestId === requestId))
      const { rows, nextPageToken } = listed(found, o => o.id, listing, Operation)
      return { operations: rows, nextPageToken }
    }),
    get: unary<OperationsGetRequest, OperationsGetResponse>(onBug, ({ id }) => ({ operation: operations.get(id) })),
    watch: streaming<OperationsWatchRequest, OperationsWatchResponse>(onBug, async ({ id }, { signal, send }) => {
      await seats.hold(async () => {
        let operation = operations.get(id)
        await send({ operation })
        while (operation.state === OperationState.OPERATION_STATE_RUNNING) {
          await operations.ended(id, WATCH_PROGRESS_MS, signal)
          signal.throwIfAborted()
          operation = operations.get(id)
          await send(operation.state === OperationState.OPERATION_STATE_RUNNING ? {} : { operation })
        }
      })
    }),
    cancel: mutations.method<OperationsCancelRequest, OperationsCancelResponse>(({ id }, { caller, dryRun }) => ({ operation: operations.cancel(id, caller, dryRun) }))
  }
}
