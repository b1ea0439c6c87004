/** Where a configuration may hold a secret: what stands there, or in anything that holds such a place, is told to nobody but those who may read the text. */

/** Pointers (RFC 6901) into the file; `*`: any key. */
const places = ['/healthchecks/*/http/headers/*', '/healthchecks/*/http/path', '/healthchecks/*/http/body', '/healthchecks/*/agent/send', '/healthchecks/*/exec/*', '/bgp/report/sinks/*/url', '/nodes/*/bgp/report/sinks/*/url']
  .map(place => place.split('/').slice(1))

/** Whether `found`, the value at that place or a part of it, may be or hold one. */
export function maySecret (keys: readonly string[], found: unknown): boolean {
  const holds = found !== null && typeof found === 'object'
  return places.some((place) => {
    const common = Math.min(place.length, keys.length)
    for (let i = 0; i < common; i++) if (place[i] !== '*' && place[i] !== keys[i]) return false
    // Shorter: above such a place, where a text is something else than meant, a list or keys hold it. Longer: below one.
    return keys.length >= place.length || holds || keys.length === place.length - 1
  })
}
