/** Accepts connections on 0.0.0.0 and closes them: what health checks probe in the bench. Forked; tells its port. */
import { createServer } from 'node:net'

const server = createServer((socket) => {
  socket.on('error', () => { /* probes reset */ })
  socket.end()
})
server.listen({ port: 0, host: '0.0.0.0', backlog: 8192 }, () => {
  const address = server.address()
  process.send?.({ port: typeof address === 'object' && address !== null ? address.port : 0 })
})
process.on('disconnect', () => { process.exit(0) })
