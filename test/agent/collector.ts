/** A collector of traces on loopback: OTLP over HTTP, JSON. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

interface Value { readonly stringValue?: string, readonly intValue?: number | string, readonly doubleValue?: number, readonly boolValue?: boolean }
interface Attribute { readonly key: string, readonly value: Value }
interface WireSpan {
  readonly traceId: string, readonly spanId: string, readonly parentSpanId?: string, readonly name: string, readonly kind: number, readonly startTimeUnixNano: string, readonly endTimeUnixNano: string
  readonly attributes: readonly Attribute[], readonly events: ReadonlyArray<{ readonly name: string, readonly attributes: readonly Attribute[] }>, readonly status: { readonly code: number, readonly message?: string }
}
interface Wire { readonly resourceSpans: ReadonlyArray<{ readonly resource: { readonly attributes: readonly Attribute[] }, readonly scopeSpans: ReadonlyArray<{ readonly spans: readonly WireSpan[] }> }> }

export interface Span extends Omit<WireSpan, 'attributes' | 'events'> { readonly attributes: Readonly<Record<string, unknown>>, readonly resource: Readonly<Record<string, unknown>> }

const plain = (attributes: readonly Attribute[]): Record<string, unknown> => Object.fromEntries(attributes.map(({ key, value }) => {
  const { intValue, stringValue, doubleValue, boolValue } = value
  return [key, intValue === undefined ? stringValue ?? doubleValue ?? boolValue : Number(intValue)]
}))

/** How it answers; `hangs`: not at all. */
export type Manner = 'takes' | 'refuses' | 'hangs'

export interface Collector {
  readonly endpoint: string
  readonly spans: Span[]
  readonly requests: () => number
  manner: Manner
  /** Of this name, in the order in which they came. */
  readonly named: (name: string) => Span[]
  readonly close: () => Promise<void>
}

export async function startCollector (t: Test, { manner = 'takes', port = 0 }: { readonly manner?: Manner, readonly port?: number } = {}): Promise<Collector> {
  const spans: Span[] = []
  let requests = 0
  const answer = (response: ServerResponse, body: string): void => {
    requests++
    if (collector.manner === 'hangs') return
    if (collector.manner === 'refuses') {
      response.writeHead(400).end()
      return
    }
    for (const { resource, scopeSpans } of (JSON.parse(body) as Wire).resourceSpans) {
      for (const span of scopeSpans.flatMap(scope => scope.spans)) spans.push({ ...span, attributes: plain(span.attributes), resource: plain(resource.attributes) })
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (part: string) => { body += part }).on('end', () => {
      if (request.method === 'POST' && request.url === '/v1/traces' && request.headers['content-type'] === 'application/json') answer(response, body)
      else response.writeHead(404).end()
    })
  })
  await new Promise<void>((resolve) => { server.listen(port, '127.0.0.1', resolve) })
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
  }
  t.teardown(close)
  const collector: Collector = { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, requests: () => requests, manner, named: name => spans.filter(span => span.name === name), close }
  return collector
}
