/** More callers than there are places: so many are served, the rest is refused at once, and the agent goes on. */
import { credentials, status, type ServiceError } from '@grpc/grpc-js'
import t from 'tap'
import { SessionsClient, type SessionsListRequest } from '../../../src/generated/proto/lockstep/v1/sessions.js'
import { call, messages, socketTarget } from '../../../src/cli/client.js'
import type { RemoteError } from '../../../src/cli/remote-error.js'
import { LISTINGS_MAX, WATCHERS_MAX } from '../../../src/rpc/sessions-service.js'
import { withServer } from './with-server.js'
import { comesAbout } from '../../until.js'

const CONNECTIONS = 12
const STREAMS = 250

t.test('thousands of streams', async (t) => {
  const { connection, agent, socketPath } = await withServer(t, 2000)
  // Clients of one target share a connection unless told otherwise, and a connection has 256 streams.
  const clients = Array.from({ length: CONNECTIONS }, () => new SessionsClient(socketTarget(socketPath), credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }))
  t.teardown(() => { for (const c of clients) c.close() })
  let open = 0
  const codes = new Map<number, number>()
  const streams = clients.flatMap((client) => Array.from({ length: STREAMS }, () => {
    const stream = client.watch({ filter: undefined, columns: [], snapshot: false })
    stream.once('data', () => { open++ })
    stream.on('error', (e: ServiceError) => { codes.set(e.code, (codes.get(e.code) ?? 0) + 1) })
    return stream
  }))
  t.ok(await comesAbout(() => open + (codes.get(status.RESOURCE_EXHAUSTED) ?? 0) === CONNECTIONS * STREAMS), `${open} open, ${JSON.stringify([...codes])}`)
  t.equal(open, WATCHERS_MAX)
  t.equal(agent.watchers(), 1, 'all of them at one subscription')
  t.equal((await call(connection.sessions, connection.sessions.count, { filter: undefined })).count, 2000n)
  for (const s of streams) s.cancel()
  t.ok(await comesAbout(() => agent.watchers() === 0))
  const again = messages(connection.sessions.watch({ filter: undefined, columns: [], snapshot: false }))
  t.notOk((await again.next()).done, 'places are free again')
  await again.return(undefined)
})

t.test('listings that nobody reads', async (t) => {
  const { connection: { sessions } } = await withServer(t, 3_000_000)
  const request: SessionsListRequest = { filter: undefined, columns: ['slot'], limit: 0n, batchRows: 100, withNames: false, fromSlot: 0, order: undefined }
  const readers = Array.from({ length: LISTINGS_MAX }, () => messages(sessions.list(request)))
  for (const reader of readers) await reader.next()
  const more = messages(sessions.list(request))
  const e = await more.next().then(() => { throw new Error('was not refused') }, (error: RemoteError) => error)
  t.match(e, { errorClass: 'exhausted', code: 'LS_R_TOO_MANY', detail: { object: 'listings', expected: `at most ${LISTINGS_MAX}` } })
  await readers.pop()?.return(undefined)
  let batches = 0
  for (let tries = 0; batches === 0 && tries < 100; tries++) {
    try {
      for await (const batch of messages(sessions.list({ ...request, limit: 10n }))) batches += batch.rows
    } catch { await new Promise((resolve) => setTimeout(resolve, 20)) }
  }
  t.equal(batches, 10, 'a place is free once a reader has gone')
  await Promise.all(readers.map(async (r) => await r.return(undefined)))
})

t.test('counts: a line with an end', async (t) => {
  const { connection: { sessions }, agent } = await withServer(t, 10)
  let working = 0
  let most = 0
  const original = agent.sessions.count
  agent.sessions.count = async (f) => {
    most = Math.max(most, ++working)
    await new Promise((resolve) => setTimeout(resolve, 10))
    working--
    return await original(f)
  }
  const outcomes = await Promise.allSettled(Array.from({ length: 500 }, async () => await call(sessions, sessions.count, { filter: undefined })))
  const served = outcomes.filter((o) => o.status === 'fulfilled').length
  t.equal(most, 2)
  t.ok(served >= 66 && served < 500, `${served} served`)
  t.ok(outcomes.every((o) => o.status === 'fulfilled' || (o.reason as RemoteError).code === 'LS_R_TOO_MANY'))
})
