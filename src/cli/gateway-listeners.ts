/** Where `lockstep gateway` listens: its flags, and for what they leave open the `agent.gateway` of the configuration that runs; with --server nobody is asked. */
import { setTimeout as sleep } from 'node:timers/promises'
import { LockstepError } from '../contract/errors.js'
import { AgentState } from '../generated/proto/lockstep/v1/agent.js'
import { withAgent, type LinkOptions } from './agent-link.js'
import { call } from './client.js'
import type { CliIo } from './io.js'

export interface Listener {
  /** ADDRESS:PORT or `off`. */
  readonly at: string
  /** Who says so, for errors: `--http` or `agent.gateway.metrics`. */
  readonly named: string
}
export interface Listeners { readonly http: Listener, readonly grpc: Listener }

const RETRY_MS = 500
/** Of several agents none says where to listen. */
const httpDefault = '127.0.0.1:9461'

/** An agent that does not run yet is waited for, and told of once; `null` when the process is ended meanwhile. */
export async function gatewayListeners (io: CliIo, o: LinkOptions & { readonly http?: string, readonly grpc?: string, readonly server?: readonly string[] }): Promise<Listeners | null> {
  const flag = (at: string, named: string): Listener => ({ at, named })
  if (o.server !== undefined) return { http: flag(o.http ?? httpDefault, '--http'), grpc: flag(o.grpc ?? 'off', '--grpc') }
  if (o.http !== undefined && o.grpc !== undefined) return { http: flag(o.http, '--http'), grpc: flag(o.grpc, '--grpc') }
  for (let told = false; !io.signal.aborted; told = true) {
    let why = 'the agent is starting'
    try {
      const info = await withAgent(io, o, async ({ agent }) => await call(agent, agent.getInfo, {}))
      if (info.state !== AgentState.AGENT_STATE_STARTING) {
        const configured = (at: string, key: string): Listener => flag(at === '' ? 'off' : at, `agent.gateway.${key}`)
        return {
          http: o.http === undefined ? configured(info.gatewayMetrics, 'metrics') : flag(o.http, '--http'),
          grpc: o.grpc === undefined ? configured(info.gatewayGrpc, 'grpc') : flag(o.grpc, '--grpc')
        }
      }
    } catch (error) {
      if (!(error instanceof LockstepError) || error.errorClass !== 'unavailable' || /^(EACCES|EPERM)$/.test(error.detail.found ?? '')) {
        if (io.signal.aborted) return null
        throw error
      }
      why = error.message
    }
    if (!told) io.err(`waiting for the agent, whose configuration says where to listen (--http and --grpc would): ${why}\n`)
    await sleep(RETRY_MS, undefined, { signal: io.signal }).catch(() => undefined)
  }
  return null
}
