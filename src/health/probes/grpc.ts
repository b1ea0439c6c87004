/** grpc.health.v1.Health/Check over HTTP/2: SERVING passes. */
import { connect as connectTcp } from 'node:net'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { ProbeOutcome } from '../../contract/health.js'
import { HealthCheckRequest, HealthCheckResponse, HealthCheckResponse_ServingStatus as serving } from '../../generated/proto/grpc/health/v1/health.js'
import { formatEndpoint } from '../../lib/address.js'
import type { Probe } from '../checker.js'
import { failed, failedWith, from, passed } from './outcome.js'
import { judged, tlsOptions } from './tls.js'

/** A message of the protocol: not compressed, its length, and it. */
function framed (message: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

function statusOf (bytes: Buffer): HealthCheckResponse['status'] | null {
  try {
    return bytes.length < 5 || bytes[0] !== 0 ? null : HealthCheckResponse.decode(bytes.subarray(5, 5 + bytes.readUInt32BE(1))).status
  } catch {
    return null
  }
}
const textOf = (value: unknown): string => typeof value === 'string' ? value : ''

/** An answer is no longer than this. */
const ANSWER_MAX = 1024

export const grpcProbe: Probe = ({ check, address, port }, done) => {
  const beganAt = performance.now()
  const { tls, grpcService } = check
  let session: ClientHttp2Session
  const end = (outcome: ProbeOutcome): void => {
    done(outcome)
    session.destroy()
  }
  try {
    const options = { host: address, port, ...from(check, address) }
    const socket = tls === null ? connectTcp(options) : connectTls({ ...options, ...tlsOptions(tls), ALPNProtocols: ['h2'] })
    session = connectHttp2(`${tls === null ? 'http' : 'https'}://${formatEndpoint(address, port)}`, { createConnection: () => socket })
    if (tls !== null) {
      socket.once('secureConnect', () => {
        const wrong = judged(beganAt, socket as TLSSocket, tls, address)
        if (wrong !== null) end(wrong)
      })
    }
    socket.on('error', (error) => { end(failedWith(beganAt, error)) })
  } catch (error) {
    done(failedWith(beganAt, error))
    return () => { /* it has not begun */ }
  }
  session.on('error', (error) => { end(failedWith(beganAt, error)) })
  const stream = session.request({ ':method': 'POST', ':path': '/grpc.health.v1.Health/Check', 'content-type': 'application/grpc', te: 'trailers', 'user-agent': 'lockstep-check' })
  let bytes = Buffer.alloc(0)
  let status = ''
  stream.on('response', (headers) => { status = textOf(headers['grpc-status']) })
  stream.on('trailers', (trailers) => { status = textOf((trailers as Record<string, unknown>)['grpc-status']) || status })
  stream.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    if (bytes.length > ANSWER_MAX) end(failed(beganAt, 'answer', 'the answer is too long'))
  })
  stream.on('end', () => {
    const found = statusOf(bytes)
    if (status !== '0') end(failed(beganAt, 'answer', status === '' ? 'no gRPC status' : `gRPC status ${status}`))
    else if (found === serving.SERVING) end(passed(beganAt))
    else end(failed(beganAt, 'answer', found === null ? 'an answer that is none' : `the service is ${found}`))
  })
  stream.on('error', (error) => { end(failedWith(beganAt, error)) })
  stream.end(framed(HealthCheckRequest.encode({ service: grpcService ?? '' }).finish()))
  return () => { session.destroy() }
}
