/** Schema of `bgp.report`: to whom the state of BGP sessions is told. */
import { bgpLedgerPrograms, bgpReportDefaults as usual, bgpReportLimits as max } from '../../contract/bgp-report.js'
import { formatDuration } from '../units.js'
import { choice, duration, flag, integer, mapOf, object, text, type JsonSchema } from './common.js'

const span = (from: number, to: number): string => `${formatDuration(from)} to ${formatDuration(to)}.`
const ledgers = Object.keys(bgpLedgerPrograms).join(', ')

const sink = object('A sink: `type` says which of the other keys it has.', {
  type: choice('file appends lines of JSON; webhook posts to an HTTP endpoint; solana writes to the accounts of a ledger program.', ['file', 'webhook', 'solana']),
  path: text('file: an absolute path. It is opened for each batch, so a rotated file is begun anew by itself.', { examples: ['/var/log/lockstep/bgp.jsonl'] }),
  url: text('webhook, solana: address of the endpoint, or of a node’s JSON-RPC. Without a user or password; what is secret in its path or query is in no log.', { pattern: '^https?://[^\\s]+$', maxLength: 2048, examples: ['https://hooks.example.net/bgp'] }),
  'secret-file': text('webhook: file of at least 16 bytes, readable by its owner alone; requests are signed with it (HMAC-SHA256). An absolute path. Default: they are not signed.'),
  timeout: duration(`webhook: for one request, ${span(max.timeoutMsMin, max.timeoutMsMax)}`, formatDuration(usual.webhook.timeoutMs)),
  batch: integer('webhook: reports in one request.', 1, max.batchMax, { default: usual.webhook.batch }),
  program: text(`solana: the program, by its ledger (${ledgers}) or its address.`, { maxLength: 64, examples: ['mainnet-beta'] }),
  device: text('solana: address of the device whose users are told of.', { pattern: '^[1-9A-HJ-NP-Za-km-z]{32,44}$' }),
  'keypair-file': text('solana: keypair of the device’s metrics publisher, as solana-keygen writes it, readable by its owner alone. It pays for each write. An absolute path.'),
  'dry-run': flag('solana: writes are logged, none is sent.', false),
  commitment: choice('solana: how firm a write must be before it counts.', ['confirmed', 'finalized'], usual.solana.commitment),
  'compute-unit-price': integer('solana: micro-lamports that are offered for a compute unit; 0: none.', 0, max.computeUnitPriceMax, { default: 0 }),
  'balance-min': integer('solana: lamports below which the key’s balance is warned of.', 0, Number.MAX_SAFE_INTEGER, { default: usual.solana.balanceMin }),
}, ['type'])

export const bgpReport: JsonSchema = object('To whom the state of BGP sessions is told. What is unknown is told to nobody.', {
  interval: duration(`Between two looks at all sessions, ${span(max.intervalMsMin, max.intervalMsMax)}`, formatDuration(usual.intervalMs)),
  grace: duration(`A session that was up is told as down when it has been down for so long; kept over a restart: ${span(0, max.graceMsMax)}`, formatDuration(usual.graceMs)),
  debounce: duration(`What is seen must have lasted so long before it is told: ${span(0, max.graceMsMax)}`, formatDuration(usual.debounceMs)),
  refresh: duration(`A record is written anew when it is so old: ${span(max.refreshMsMin, max.refreshMsMax)}`, formatDuration(usual.refreshMs)),
  'refresh-jitter': integer('A refresh comes earlier by up to so many per cent of the interval, by chance.', 0, max.refreshJitterPctMax, { default: usual.refreshJitterPct }),
  spacing: duration(`Least time between two reports of one session: ${span(0, max.graceMsMax)}`, formatDuration(usual.spacingMs)),
  sinks: mapOf('Sinks by name.', sink),
}, ['sinks'])
