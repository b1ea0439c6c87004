/** An agent of before a kind of objects: the gateway shows the others, and that it is reached. */
import t from 'tap'
import { Server, ServerCredentials, status, type ServerWritableStream } from '@grpc/grpc-js'
import { join } from 'node:path'
import { ObjectKind, ObjectsService, WatchBegin, type ObjectMessages, type ObjectsWatchRequest } from '../../../src/generated/proto/lockstep/v1/objects.js'
import { FollowedAgent } from '../../../src/gateway/followed-agent.js'
import { temporaryDirectory } from '../rpc/with-server.js'
import { comesAbout } from '../../until.js'

t.test('an agent that refuses a kind is reached all the same; one that is gone is not', async (t) => {
  const path = join(temporaryDirectory(t), 's')
  const server = new Server()
  server.addService(ObjectsService, {
    watch: (call: ServerWritableStream<ObjectsWatchRequest, ObjectMessages>) => {
      if (call.request.kind === ObjectKind.OBJECT_KIND_BGP) return call.emit('error', { code: status.INVALID_ARGUMENT, details: 'no such kind' })
      return call.write({ messages: [
        { message: { $case: 'hello', value: { epoch: 'e', resumed: false, revision: 0n } } }, { message: { $case: 'begin', value: WatchBegin.WATCH_BEGIN_INITIAL } },
        { message: { $case: 'commit', value: { token: 'a', revision: 1n, previous: 0n } } }, { message: { $case: 'synced', value: true } }
      ] })
    }
  })
  await new Promise<void>((resolve, reject) => { server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => { if (error === null) resolve(); else reject(error) }) })
  t.teardown(() => { server.forceShutdown() })
  const agent = new FollowedAgent({ address: `unix:${path}` }, () => undefined)
  t.teardown(async () => { await agent.close() })
  t.ok(await comesAbout(() => agent.state(true).connected), 'it is reached')
  t.same([agent.state(true).kinds['vip']?.synced, agent.state(true).kinds['bgp']?.synced], [true, false])
  server.forceShutdown()
  t.ok(await comesAbout(() => !agent.state(true).connected), 'it is gone')
})
