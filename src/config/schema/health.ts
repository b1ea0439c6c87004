/** Schema of `healthchecks`: how reals are asked whether they serve. */
import { healthDefaults as usual, healthLimits as max, requestPatterns } from '../../contract/health-limits.js'
import { formatDuration } from '../units.js'
import { choice, duration, integer, listOf, mapOf, name, object, oneOrMany, text, type JsonSchema } from './common.js'

const span = (from: number, to: number): string => `${formatDuration(from)} to ${formatDuration(to)}.`

const tls = object('TLS for type tls, and for http and grpc over it.', {
  'server-name': text('Name that is sent (SNI), and that the certificate must have with verify: full.', { maxLength: 253 }),
  verify: choice('none takes any certificate; expiry one that is valid now; full one of the authority for the name.', ['none', 'expiry', 'full'], 'none'),
  authority: text('File of authorities (PEM), an absolute path. Default: those of the host.'),
  'min-days': integer('Days that the certificate must still be valid; with verify: expiry or full.', 0, max.minDaysMax, { default: 0 }),
})

const http = object('Request and expected answer of type http.', {
  method: choice('Request method.', ['GET', 'HEAD', 'OPTIONS', 'POST'], 'GET'),
  path: text('Path and query.', { default: '/', pattern: requestPatterns.path, maxLength: max.pathCharsMax, examples: ['/healthz'] }),
  host: text('Host header. Default: the address of the real.', { maxLength: max.hostCharsMax, pattern: requestPatterns.host }),
  headers: { type: 'object', description: 'More header lines.', propertyNames: { pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$" }, additionalProperties: text('value', { pattern: '^[ -~]*$', maxLength: 1024 }), maxProperties: 32 },
  status: oneOrMany('Status codes that are well: codes or ranges.', { type: ['integer', 'string'] }, { default: '200-399', examples: [200, ['200-299', 404]] }),
  body: text(`Regular expression that the first ${max.bodyBytesMax} bytes of the answer must match.`, { maxLength: max.bodyPatternCharsMax }),
})

const dns = object('Question of type dns, over UDP.', {
  name: text('Name that is asked for.', { maxLength: 253 }),
  type: choice('Record type.', ['A', 'AAAA', 'TXT', 'SOA', 'NS', 'MX', 'CNAME'], 'A'),
  answer: text('One answer must be this. Default: any answer without an error.'),
}, ['name'])

export const healthchecks: JsonSchema = mapOf('Health checks by name. Each target, an address and port, is probed once for each check, however many VIPs have it.', object('A health check.', {
  description: text('For people.'),
  type: choice('What a probe is: icmp an echo; tcp a connection; tls a handshake; http, grpc (grpc.health.v1) and dns a question; exec a program whose exit code is 0.', ['icmp', 'tcp', 'tls', 'http', 'grpc', 'dns', 'exec']),
  port: integer('Port that is probed. Default: that of the real, else of the VIP.', 1, 65535),
  interval: duration(`Between two probes, ${span(max.intervalMsMin, max.intervalMsMax)}`, formatDuration(usual.intervalMs)),
  'fast-interval': duration('While the state is in doubt: after a failure of a real that is up, a pass of one that is down. Default: interval.'),
  'down-interval': duration('While it is down. Default: interval.'),
  timeout: duration(`For the whole probe, to the last byte: ${span(max.timeoutMsMin, max.timeoutMsMax)}`, formatDuration(usual.timeoutMs)),
  rise: integer('Passes in a row that bring a real up that was down. Its first pass ever does at once.', 1, max.thresholdMax, { default: usual.rise }),
  fall: integer('Failures in a row that bring a real down that was up. Its first failure ever does at once.', 1, max.thresholdMax, { default: usual.fall }),
  jitter: integer('Each interval is longer or shorter by up to so many per cent, so that probes do not come in waves.', 0, max.jitterPctMax, { default: usual.jitterPct }),
  netns: name('Network namespace that probes leave from. Default: agent.netns.'),
  source: oneOrMany('Addresses that probes leave from, at most one of each family. Default: the kernel chooses.', text('address')),
  tls, http, dns,
  agent: object('Beside the probe each real is asked how much it can take: one line over TCP, as agents of HAProxy say it (75%, up, drain, down).', {
    port: integer('TCP port of the agent, on each real.', 1, 65535),
    send: text('Text that is sent to it first, as it stands.', { maxLength: 64, default: '' }),
  }, ['port']),
  passive: integer('So many TCP flows in a row that a real resets at once, or leaves without an answer until they time out, count as a failed probe. Default: sessions say nothing.', 1, max.passiveMax),
  grpc: object('Question of type grpc.', { service: { type: 'string', maxLength: 253, default: '', description: 'Service that is asked for; empty: the server as a whole.' } }),
  exec: { ...listOf('Program and arguments of type exec, an absolute path; {address} and {port} in an argument are filled in. No shell, unprivileged.', text('argument'), { minItems: 1, maxItems: 64 }), examples: [['/usr/local/bin/check-sql', '{address}', '{port}']] },
}, ['type']))
