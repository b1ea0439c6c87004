/**
 * Ports whose driver takes no redirected frames: what leaves by them is lost, and no counter tells. Asked of the kernel when ports settle, and of those that
 * were found again and again, so that one that was mended is no longer told.
 */
import { xdpFeatures } from '../../native/xdp-features.js'

export interface Place {
  readonly netns: string
  readonly ifindex: number
  /** The generic hook runs the program: it sends by the ordinary way out, which every interface has. */
  readonly generic: boolean
  /** What turns around on the port goes by redirect. */
  readonly redirect: boolean
}

export class DeafPorts {
  private readonly places = new Map<string, Place>()
  private deaf: string[] = []

  constructor (private readonly features: typeof xdpFeatures = xdpFeatures) {}

  /** A program runs on the port. */
  enabled (name: string, place: Place): void { this.places.set(name, place) }

  /** These are all. */
  settle (names: ReadonlySet<string>): void {
    for (const name of this.places.keys()) if (!names.has(name)) this.places.delete(name)
    this.deaf = this.among([...this.places.keys()])
  }

  /** One line a port. */
  lines (): string[] {
    this.deaf = this.among(this.deaf)
    return this.deaf.map(name => `port ${name}: its driver takes no redirected frames: packets that should leave by it are lost; lockstep doctor tells what would help`)
  }

  private among (names: readonly string[]): string[] {
    const reached = (name: string): boolean => [...this.places].some(([other, p]) => !p.generic && (other !== name || p.redirect))
    return names.filter(name => reached(name) && this.lacks(name))
  }

  /** False also where nobody can tell: the kernel is older, or the interface gone. */
  private lacks (name: string): boolean {
    const place = this.places.get(name)
    try {
      return place !== undefined && this.features(place.netns, place.ifindex)?.includes('ndo-xmit') === false
    } catch {
      return false
    }
  }
}
