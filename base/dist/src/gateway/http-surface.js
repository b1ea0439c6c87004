/**
 * /metrics and /healthz over HTTP. Both ask the agent for each request; requests that come while one is under way share its
 * answer. GET and HEAD only. On plain loopback the Host header must be an address or localhost, so that a web page whose name
 * resolves to 127.0.0.1 cannot read them.
 */
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { isIP } from 'node:net';
import { credentials, Metadata, status } from '@grpc/grpc-js';
import { HealthCheckResponse_ServingStatus as ServingStatus, HealthClient } from '../generated/proto/grpc/health/v1/health.js';
import { TelemetryClient } from '../generated/proto/lockstep/v1/telemetry.js';
import { callerOf } from './roles.js';
const AGENT_TIMEOUT_MS = 5000;
/** Not listening yet. */
export function createHttpSurface(socketPath, tls) {
    const target = `unix:${socketPath}`;
    const options = { 'grpc.max_receive_message_length': 16 << 20, 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1000, 'grpc.service_config_disable_resolution': 1 };
    const telemetry = new TelemetryClient(target, credentials.createInsecure(), options);
    const agentHealth = new HealthClient(target, credentials.createInsecure(), options);
    const metrics = shared(async () => await fetchMetrics(telemetry));
    const health = shared(async () => await fetchHealth(agentHealth));
    const pages = {
        '/metrics': async (response) => {
            const page = await metrics();
            send(response, 200, page.contentType, page.text);
        },
        '/healthz': async (response) => {
            const serving = await health();
            send(response, serving ? 200 : 503, 'text/plain; charset=utf-8', serving ? 'SERVING\n' : 'NOT_SERVING\n');
        },
        '/': async (response) => { send(response, 200, 'text/plain; charset=utf-8', 'lockstep gateway\n/metrics\n/healthz\n'); }
    };
    const listener = (request, response) => {
        const refused = refusal(request, tls !== null);
        if (refused !== null) {
            send(response, refused[0], 'text/plain; charset=utf-8', `${refused[1]}\n`);
            return;
        }
        const page = pages[(request.url ?? '/').split('?')[0] ?? '/'];
        if (page === undefined)
            send(response, 404, 'text/plain; charset=utf-8', 'no such page; there are /metrics and /healthz\n');
        else
            page(response).catch((error) => send(response, 503, 'text/plain; charset=utf-8', `${unreachable(error)}\n`));
    };
    const limits = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 60_000, maxHeaderSize: 16_384 };
    const server = tls === null ? createServer(limits, listener) : createTlsServer({ ...limits, handshakeTimeout: 5000, ...tls }, listener);
    server.maxConnections = 256;
    // A reader that takes nothing for so long has gone.
    server.timeout = 30_000;
    return { server, close: () => { telemetry.close(); agentHealth.close(); } };
}
function unreachable(error) {
    const { code, message } = error;
    return code === status.UNAVAILABLE ? 'the agent cannot be reached: is it running?' : `the agent did not answer: ${message ?? String(error)}`;
}
function refusal(request, secure) {
    if (request.method !== 'GET' && request.method !== 'HEAD')
        return [405, 'GET and HEAD only'];
    if (secure)
        return callerOf(request.socket.getPeerCertificate()) === null ? [403, 'the client certificate names no role: its OU must be viewer, operator or admin'] : null;
    const host = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
    return host === 'localhost' || isIP(host) !== 0 ? null : [421, 'the Host header must be an address or localhost'];
}
function send(response, code, type, body) {
    if (response.headersSent)
        return;
    response.writeHead(code, { 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', ...(code === 405 ? { allow: 'GET, HEAD' } : {}) });
    response.end(response.req.method === 'HEAD' ? undefined : body);
}
/** One call at a time; whoever asks meanwhile gets the same result. */
function shared(work) {
    let running = null;
    return async () => {
        running ??= work().finally(() => { running = null; });
        return await running;
    };
}
async function fetchMetrics(client) {
    return await new Promise((resolve, reject) => {
        client.metrics({}, new Metadata({ waitForReady: false }), { deadline: Date.now() + AGENT_TIMEOUT_MS }, (error, page) => { if (error === null)
            resolve(page);
        else
            reject(error); });
    });
}
/** Health of the agent as a whole; not reached is not serving. */
async function fetchHealth(client) {
    return await new Promise((resolve) => {
        client.check({ service: '' }, new Metadata(), { deadline: Date.now() + AGENT_TIMEOUT_MS }, (error, answer) => resolve(error === null && answer.status === ServingStatus.SERVING));
    });
}
//# sourceMappingURL=http-surface.js.map