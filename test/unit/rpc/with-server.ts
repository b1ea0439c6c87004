/** A server over a fake agent and a connection to it, closed with the test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { connectAgent, socketTarget, type AgentConnection } from '../../../src/cli/client.js'
import type { RemoteError } from '../../../src/cli/remote-error.js'
import { startRpcServer, type RpcServer, type RpcServerOptions } from '../../../src/rpc/server.js'
import { createFakeAgent, type FakeAgent } from './fake-agent.js'

export interface Running {
  readonly agent: FakeAgent
  readonly server: RpcServer
  readonly connection: AgentConnection
  readonly directory: string
  readonly socketPath: string
}

export function temporaryDirectory (t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'ls-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** The error that a call ends with. */
export async function refusal (promise: Promise<unknown>): Promise<RemoteError> {
  return await promise.then(() => { throw new Error('was not refused') }, (e: RemoteError) => e)
}

export async function withServer (t: Test, rows = 1000, options: Omit<RpcServerOptions, 'socketPath'> = {}): Promise<Running> {
  const directory = temporaryDirectory(t)
  const socketPath = join(directory, 'agent.sock')
  const agent = createFakeAgent(rows)
  const server = await startRpcServer(agent.services, { socketPath, ...options })
  server.setServing(true)
  const connection = connectAgent(socketTarget(socketPath))
  t.teardown(async () => {
    connection.close()
    await server.close(100)
  })
  return { agent, server, connection, directory, socketPath }
}
