/** Lists every session of the agent at argv[2] and prints how many rows came, how many messages, and in what time. A process of its own, so that its decoding is not the server's delay. */
import { credentials } from '@grpc/grpc-js'
import { SessionsClient, type SessionBatch } from '../../src/generated/proto/lockstep/v1/sessions.js'

const client = new SessionsClient(`unix:${process.argv[2] ?? ''}`, credentials.createInsecure(), { 'grpc.max_receive_message_length': 8 << 20 })
const began = performance.now()
let [rows, messages] = [0, 0]
const stream = client.list({ filter: undefined, columns: [], limit: 0n, batchRows: 0, withNames: false, fromSlot: 0, order: undefined })
stream.on('data', (batch: SessionBatch) => { rows += Number(batch.rows); messages++ })
stream.on('error', (error) => { console.error(error.message); process.exitCode = 1; client.close() })
stream.on('end', () => {
  console.log(JSON.stringify({ rows, messages, ms: Math.round(performance.now() - began) }))
  client.close()
})
