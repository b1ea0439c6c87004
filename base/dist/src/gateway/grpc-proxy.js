/**
 * gRPC over TCP, passed to the agent's unix socket as HTTP/2: headers, data and trailers as they come, so every method works,
 * also those this version does not know. Deadlines travel as `grpc-timeout`, cancellation as RST_STREAM, back-pressure by
 * pipes. What the proxy adds: who may call what (roles.ts) and the verified name of the caller (`lockstep-caller`), which it
 * first removes from what the client sent.
 *
 * Each client connection gets its own connection to the agent, so a client that does not read slows nobody else.
 */
import { connect, constants, createSecureServer, createServer } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { keepAlive, Keeper, patience } from './keeper.js';
import { callerOf, mayCall, roleNeeded } from './roles.js';
const WINDOW = 1 << 20;
const SESSION_WINDOW = 8 << 20;
const CONNECTIONS_MAX = 256;
const HANDSHAKE_MS = 5000;
/** Slack after a deadline until the gateway itself ends a call whose agent does not. */
const DEADLINE_SLACK_MS = 1000;
const grpc = { ok: 0, deadlineExceeded: 4, permissionDenied: 7, unimplemented: 12, unavailable: 14, unauthenticated: 16 };
/** Not listening yet. */
export function createGrpcProxy(options) {
    const settings = { initialWindowSize: WINDOW, maxConcurrentStreams: 256 };
    const server = options.tls === null
        ? createServer({ settings, maxSessionMemory: 64 })
        : createSecureServer({ ...options.tls, ALPNProtocols: ['h2'], handshakeTimeout: HANDSHAKE_MS, settings, maxSessionMemory: 64 });
    server.maxConnections = CONNECTIONS_MAX;
    const limits = options.patience ?? patience;
    const upstreams = new WeakMap();
    server.on('session', (session) => {
        const upstream = new Upstream(options.socketPath, limits.pingMs);
        upstreams.set(session, { upstream, keeper: new Keeper(session, limits) });
        session.on('close', () => upstream.close());
        session.on('error', () => upstream.close());
    });
    server.on('sessionError', () => { });
    server.on('stream', (stream, headers) => {
        stream.on('error', () => { });
        const session = stream.session;
        const known = session === undefined ? undefined : upstreams.get(session);
        if (session === undefined || known === undefined) {
            stream.close(constants.NGHTTP2_REFUSED_STREAM);
            return;
        }
        known.keeper.add(stream);
        // Node throws for what it will not send on: a stranger's headers must not end the gateway.
        try {
            serve(stream, headers, identify(session, options), known.upstream);
        }
        catch {
            end(stream, grpc.unavailable, 'the call cannot be passed to the agent');
        }
    });
    return server;
}
/** The connection to the agent, opened when first needed and again after the agent restarted. */
class Upstream {
    #path;
    #pingMs;
    #session = null;
    constructor(path, pingMs) {
        this.#path = path;
        this.#pingMs = pingMs;
    }
    request(headers) {
        if (this.#session === null || this.#session.closed || this.#session.destroyed) {
            const session = connect('http://localhost', { createConnection: () => connectSocket(this.#path), settings: { initialWindowSize: WINDOW, enablePush: false }, maxSessionMemory: 64 });
            session.on('error', () => session.destroy());
            session.on('connect', () => session.setLocalWindowSize(SESSION_WINDOW));
            keepAlive(session, this.#pingMs);
            this.#session = session;
        }
        return this.#session.request(headers);
    }
    close() {
        this.#session?.destroy();
        this.#session = null;
    }
}
function identify(session, { tls, plainRole }) {
    if (tls === null)
        return { name: null, role: plainRole };
    // session.socket is a proxy object: it has the methods of the TLSSocket behind it.
    return session.encrypted === true ? callerOf(session.socket.getPeerCertificate()) : null;
}
function serve(stream, headers, caller, upstream) {
    const path = headers[':path'] ?? '';
    if (headers[':method'] !== 'POST' || !(headers['content-type'] ?? '').startsWith('application/grpc')) {
        stream.respond({ ':status': 415 }, { endStream: true });
        return;
    }
    if (caller === null) {
        end(stream, grpc.unauthenticated, 'the client certificate names no role: its OU must be viewer, operator or admin');
        return;
    }
    if (!mayCall(caller.role, path)) {
        end(stream, grpc.permissionDenied, `${path} needs the role ${roleNeeded(path)}; ${caller.name ?? 'plain loopback'} has ${caller.role}`);
        return;
    }
    const timer = deadlineTimer(stream, headers['grpc-timeout']);
    forward(stream, upstream.request(upstreamHeaders(headers, caller)));
    stream.on('close', () => { if (timer !== null)
        clearTimeout(timer); });
}
/** Copies both directions; whichever side ends or breaks ends the other. */
function forward(client, agent) {
    let trailers = null;
    let wanted = false;
    const sendTrailers = () => {
        if (!wanted || trailers === null || client.destroyed || client.closed)
            return;
        try {
            client.sendTrailers(trailers);
        }
        catch {
            client.close(constants.NGHTTP2_INTERNAL_ERROR);
        }
    };
    agent.on('response', (headers, flags) => {
        if (client.destroyed)
            return;
        const trailersOnly = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
        try {
            client.respond(responseHeaders(headers), trailersOnly ? { endStream: true } : { waitForTrailers: true });
        }
        catch {
            client.close(constants.NGHTTP2_INTERNAL_ERROR);
            return;
        }
        if (trailersOnly)
            client.resume();
        else
            agent.pipe(client);
    });
    agent.on('trailers', (headers) => { trailers = responseHeaders(headers); sendTrailers(); });
    client.on('wantTrailers', () => { wanted = true; sendTrailers(); });
    agent.on('error', () => { });
    agent.on('close', () => {
        if (trailers !== null || client.destroyed || client.writableEnded) {
            if (trailers === null && wanted) {
                trailers = statusHeaders(grpc.unavailable, 'the agent ended the call without a status');
                sendTrailers();
            }
            return;
        }
        if (!client.headersSent)
            end(client, grpc.unavailable, 'the agent cannot be reached: is it running?');
        else {
            trailers = statusHeaders(grpc.unavailable, 'the connection to the agent broke');
            client.end();
            client.resume();
        }
    });
    client.on('close', () => { if (!agent.destroyed)
        agent.close(constants.NGHTTP2_CANCEL); });
    client.pipe(agent);
}
function end(stream, status, message) {
    if (stream.destroyed || stream.headersSent)
        return;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...statusHeaders(status, message) }, { endStream: true });
    stream.resume();
}
const statusHeaders = (status, message) => ({ 'grpc-status': String(status), 'grpc-message': encodeURIComponent(message).replaceAll('%20', ' ') });
const hopByHop = new Set(['connection', 'host', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings']);
function upstreamHeaders(headers, caller) {
    const out = { ':method': 'POST', ':path': headers[':path'], ':scheme': 'http', ':authority': 'localhost' };
    for (const [name, value] of Object.entries(headers)) {
        if (!name.startsWith(':') && !hopByHop.has(name) && !name.startsWith('lockstep-'))
            out[name] = value;
    }
    if (caller.name !== null)
        out['lockstep-caller'] = caller.name.replaceAll(/[^\x20-\x7e]/g, '?');
    return out;
}
function responseHeaders(headers) {
    return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHop.has(name)));
}
const timeoutUnits = { n: 1e-6, u: 1e-3, m: 1, S: 1000, M: 60_000, H: 3_600_000 };
function deadlineTimer(stream, header) {
    const match = typeof header === 'string' ? /^(\d{1,8})([numSMH])$/.exec(header) : null;
    if (match === null)
        return null;
    const ms = Number(match[1]) * (timeoutUnits[match[2] ?? ''] ?? 0) + DEADLINE_SLACK_MS;
    if (ms > 0x7fff_ffff)
        return null;
    return setTimeout(() => {
        end(stream, grpc.deadlineExceeded, 'the agent did not answer within the deadline');
        stream.close(constants.NGHTTP2_CANCEL);
    }, ms);
}
//# sourceMappingURL=grpc-proxy.js.map