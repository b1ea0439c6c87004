/** Objects.Watch by itself: a mark of progress after silence, and an end of every stream after its time, from which a reader goes on. */
import t from 'tap'
import { LockstepError } from '../../../src/contract/errors.js'
import { join } from 'node:path'
import { credentials, Server, ServerCredentials, status } from '@grpc/grpc-js'
import { ObjectKind, ObjectsClient, ObjectsService, type ObjectMessage, type ObjectMessages } from '../../../src/generated/proto/lockstep/v1/objects.js'
import { sourcesOf } from '../../../src/rpc/objects/kinds.js'
import { objectsImplementation, type ObjectsTimes } from '../../../src/rpc/objects/service.js'
import { Subscribers } from '../../../src/rpc/subscribers.js'
import { createFakeAgent, type FakeAgent } from './fake-agent.js'
import { temporaryDirectory } from './with-server.js'

async function serving (t: Parameters<typeof temporaryDirectory>[0], times: Omit<ObjectsTimes, 'staleMs'> & Partial<ObjectsTimes>): Promise<{ readonly agent: FakeAgent, readonly client: ObjectsClient }> {
  const agent = createFakeAgent(1)
  const fail = (error: unknown): void => { t.error(error) }
  const sources = sourcesOf(agent.services, fail)
  const server = new Server()
  server.addService(ObjectsService, objectsImplementation(sources, new Subscribers(), (_method, error) => { fail(error) }, undefined, { staleMs: 60_000, ...times }))
  const address = `unix:${join(temporaryDirectory(t), 'a.sock')}`
  await new Promise<void>((resolve, reject) => { server.bindAsync(address, ServerCredentials.createInsecure(), (error) => { if (error === null) resolve(); else reject(error) }) })
  const client = new ObjectsClient(address, credentials.createInsecure())
  t.teardown(() => {
    client.close()
    for (const source of sources.values()) source.close()
    server.forceShutdown()
  })
  return { agent, client }
}

type Said = NonNullable<ObjectMessage['message']>

async function * watch (client: ObjectsClient, token = ''): AsyncGenerator<Said> {
  for await (const { messages } of client.watch({ kind: ObjectKind.OBJECT_KIND_VIP, keys: [], token }) as AsyncIterable<ObjectMessages>) for (const { message } of messages) if (message !== undefined) yield message
}

t.test('silence: marks of progress, each with a token that resumes', async (t) => {
  const { client } = await serving(t, { progressMs: 20, ageMs: 60_000 })
  const marks: string[] = []
  for await (const said of watch(client)) {
    if (said.$case === 'progress') marks.push(said.value.token)
    if (marks.length === 3) break
  }
  const [first] = await (async () => { for await (const said of watch(client, marks[2])) return [said]; return [] })()
  t.match(first, { $case: 'hello', value: { resumed: true } })
})

t.test('a stream ends by itself, and its last token resumes without a gap', async (t) => {
  const { agent, client } = await serving(t, { progressMs: 20, ageMs: 150 })
  let token = ''
  for await (const said of watch(client)) if (said.$case === 'commit' || said.$case === 'progress') token = said.value.token
  agent.loadBalancer.vipList = agent.loadBalancer.vipList.filter(vip => vip.name === 'web')
  const kinds: string[] = []
  const gone: string[] = []
  for (let i = 0; i < 1000 && gone.length === 0; i++) { // each stream is short
    for await (const said of watch(client, token)) {
      kinds.push(said.$case)
      if (said.$case === 'delete') gone.push(said.value.key)
      if (said.$case === 'commit' || said.$case === 'progress') token = said.value.token
    }
  }
  t.same(gone, ['dns'])
  t.notOk(kinds.includes('begin'), 'never everything anew')
})

t.test('what cannot be read is not vouched for: a stream ends, another is refused, and both go on once it can be', async (t) => {
  const { agent, client } = await serving(t, { progressMs: 20, ageMs: 60_000, staleMs: 2000 })
  const real = agent.loadBalancer.vips.bind(agent.loadBalancer)
  const marked = async (token = ''): Promise<string> => {
    for await (const said of watch(client, token)) if (said.$case === 'progress') return said.value.token
    return ''
  }
  const token = await marked()
  agent.loadBalancer.vips = async () => await Promise.reject(new LockstepError('unavailable', 'LS_E_AWAY', 'away'))
  const refused = { code: status.UNAVAILABLE, details: /LS_R_OBJECTS_STALE: .*vip/ }
  await t.rejects((async () => { for await (const said of watch(client, token)) t.ok(said) })(), refused, 'it was under way')
  await t.rejects((async () => { for await (const said of watch(client, token)) t.ok(said) })(), refused, 'it resumes')
  agent.loadBalancer.vips = real
  for (let i = 0; i < 100; i++) {
    const again = await marked(token).catch(() => '')
    if (again !== '') return
    await new Promise((resolve) => { setTimeout(resolve, 50) })
  }
  t.fail('it never came back')
})
