/** --detach leaves when the change has begun; the verbs of operations show it, wait for it and cancel it. */
import t from 'tap'
import { runCli } from './run-cli.js'
import { withServer } from '../rpc/with-server.js'

t.test('--detach prints the id and leaves; the change is made', async (t) => {
  const { agent, socketPath } = await withServer(t, 100)
  const env = { LOCKSTEP_SOCKET: socketPath }
  const real = agent.sessions.deleteByFilter
  let letGo = (): void => undefined
  agent.sessions.deleteByFilter = async (filter, signal) => {
    await new Promise<void>((resolve) => { letGo = resolve; signal.addEventListener('abort', () => { resolve() }) })
    signal.throwIfAborted()
    return await real(filter, signal)
  }
  const { code, out, err } = await runCli(['sessions', 'delete', '--protocol', 'udp', '--yes', '--detach'], { env })
  t.equal(code, 0, err)
  const id = out.trim()
  t.match(err, `lockstep operation wait ${id}`)
  t.match((await runCli(['operation', 'list', '--running'], { env })).out, new RegExp(`${id}.*running.*Sessions/Delete`))
  t.equal(agent.sessions.deleted.size, 0)
  const waiting = runCli(['operation', 'wait', id, '--json'], { env })
  letGo()
  const ended = await waiting
  t.equal(ended.code, 0)
  t.match(JSON.parse(ended.out), { id, state: 'done', answer: { matched: 25, deleted: 25 } })
  t.equal(agent.sessions.deleted.size, 25)

  const { out: json } = await runCli(['sessions', 'delete', '--protocol', 'tcp', '--yes', '--detach', '--json'], { env })
  const { operation } = JSON.parse(json) as { operation: string }
  t.equal((await runCli(['operation', 'cancel', operation], { env })).code, 0)
  const canceled = await runCli(['operation', 'wait', operation], { env })
  t.equal(canceled.code, 1, 'it was not made')
  t.match(canceled.out, /canceled/)
  t.equal((await runCli(['operation', 'get', 'nothing'], { env })).code, 4)
  t.equal(agent.sessions.deleted.size, 25)
})
