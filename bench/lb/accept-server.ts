/** Accepts connections on 0.0.0.0, and says how many when it is asked: what health checks probe in the bench. Forked; a message of any kind is answered with the count. */
import { createServer } from 'node:net'

let accepted = 0
const server = createServer((socket) => {
  accepted++
  socket.on('error', () => { /* probes reset */ })
  socket.end()
})
server.listen({ port: 0, host: '0.0.0.0', backlog: 8192 }, () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 })
})
process.on('message', () => { process.send?.({ accepted }) })
process.on('disconnect', () => { process.exit(0) })
