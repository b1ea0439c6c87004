/** A connection to an agent that stands and carries nothing: its events come again. */
import t from 'tap'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { FollowedAgent, type Told } from '../../../src/gateway/followed-agent.js'
import { withServer } from '../rpc/with-server.js'
import { comesAbout } from '../../until.js'

t.test('events and objects come over one connection; events that are silent for too long are asked for again', async (t) => {
  const { agent: { journal }, socketPath } = await withServer(t)
  const sockets: Socket[] = []
  const wire = createServer((socket) => {
    const far = connect(socketPath)
    sockets.push(socket, far)
    for (const [one, other] of [[socket, far], [far, socket]] as const) one.on('error', () => undefined).on('close', () => { other.destroy() })
    socket.pipe(far)
    far.pipe(socket)
  })
  await new Promise<void>((resolve) => { wire.listen(0, '127.0.0.1', resolve) })
  const told: Told[] = []
  const heard = (event: string): boolean => told.some(one => one.type === 'event' && one.event === event)
  const followed = new FollowedAgent({ address: `127.0.0.1:${(wire.address() as AddressInfo).port}` }, (one) => { told.push(one) }, 300)
  t.teardown(async () => {
    await followed.close()
    for (const socket of sockets) socket.destroy()
    wire.close()
  })
  await followed.whole(AbortSignal.timeout(5000))
  journal.note('agent', 'before', '', {})
  t.ok(await comesAbout(() => heard('before')))
  t.equal(sockets.length, 2, 'one connection')
  const [near, far] = sockets
  if (near === undefined || far === undefined) throw new Error('no connection')
  near.unpipe(far)
  far.unpipe(near)
  let asked = 0
  near.on('data', (part: Buffer) => { asked += part.length }).resume()
  t.ok(await comesAbout(() => asked > 0), 'it asks again while nothing comes')
})
