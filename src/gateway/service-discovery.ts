/** Agents as targets of Prometheus (HTTP service discovery): all are scraped through this gateway, each by its name. */
import type { IncomingMessage } from 'node:http'
import { formatEndpoint } from '../lib/address.js'

/** By the name that it was asked by: that is where its answers are found. */
export function discovery (names: readonly string[], request: IncomingMessage, secure: boolean): string {
  const { host = '' } = request.headers
  const { localAddress = '', localPort = 0 } = request.socket
  const target = /^[A-Za-z0-9.:[\]-]{1,261}$/.test(host) ? host : formatEndpoint(localAddress, localPort)
  return JSON.stringify(names.map(agent => ({ targets: [target], labels: { __scheme__: secure ? 'https' : 'http', __metrics_path__: '/metrics', __param_agent: agent, agent } })))
}
