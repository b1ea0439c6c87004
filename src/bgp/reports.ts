/** The reporter of the settings in force: one at a time, started again when they change, and told of every change of a neighbour. */
import type { BgpLook, BgpPending, BgpSettings, BgpSinkStatus, BgpView } from '../contract/bgp.js'
import { Reporter } from './reporting/index.js'
import type { FetcherLog } from './reporting/fetcher.js'

export interface ReportsOptions {
  readonly view: BgpView
  /** Name of this node, told to sinks. */
  readonly node: string
  /** The state directory. */
  readonly directory: string
  readonly log: FetcherLog
  readonly onProblem: (error: unknown) => void
}

export class Reports {
  private settings: BgpSettings | null = null
  private reporter: Reporter | null = null
  private turn: Promise<void> = Promise.resolve()
  private readonly unwatch: () => void

  constructor (private readonly o: ReportsOptions) {
    this.unwatch = o.view.watch(() => { this.reporter?.changed() })
  }

  /** The one before ends first: what it knows of its sinks is on disk then. */
  configure (settings: BgpSettings | null): void {
    const same = JSON.stringify(settings?.report ?? null) === JSON.stringify(this.settings?.report ?? null)
    this.settings = settings
    if (same) return
    this.turn = this.turn.then(async () => {
      await this.end()
      const report = this.settings?.report ?? null
      if (report === null) return
      const { node, directory, log } = this.o
      this.reporter = new Reporter({ settings: report, look: () => this.look(), node, directory, log })
      await this.reporter.start()
    }).catch((error: unknown) => { this.o.onProblem(error) })
  }

  readonly pending = (): readonly BgpPending[] => this.reporter?.pending() ?? []
  readonly tallies = (): readonly BgpSinkStatus[] => this.reporter?.tallies() ?? []

  async close (): Promise<void> {
    this.unwatch()
    this.settings = null
    await this.turn
    await this.end()
  }

  /** Whole when every source answers: what nobody reads is not down. Routers that tell over BMP do not say which of them there are: with them alone it never is. */
  private look (): BgpLook {
    const { view } = this.o
    const scopes = view.sources()
    const answers = (name: string): boolean => {
      const own = scopes.filter(({ scope }) => scope === name || scope.startsWith(`${name}/`))
      return own.length > 0 && own.every(({ failed, whole }) => failed === null && whole)
    }
    const sources = this.settings?.sources ?? []
    return { neighbours: view.neighbours(), whole: sources.some(({ type }) => type !== 'bmp') && sources.every(({ name }) => answers(name)) }
  }

  private async end (): Promise<void> {
    const { reporter } = this
    this.reporter = null
    await reporter?.stop()
  }
}
