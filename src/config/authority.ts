/**
 * The configuration authority of one node (D8): what runs, what it was, and what it would be. One apply at a time: check, ids, state staged on
 * disk, dataplane, then the rename that commits it; an error at any step leaves the last good generation in force and on disk. An unconfirmed generation rolls
 * back by itself, also when the agent was dead at its deadline (R29). Thread: main.
 */
import type { ApplyResult, Capability, ConfigSink } from '../contract/dataplane.js'
import type { Desired, IdTable } from '../contract/desired.js'
import { LockstepError } from '../contract/errors.js'
import { noOverlay, type Overlay, type OverlayChange } from '../contract/overlay.js'
import type { ApplyOptions, CheckResult, ConfigAuthority, ConfigStatus, GenerationInfo, NameBook, PlanStep } from '../contract/services.js'
import { DeadlineTimer, OneAtATime, RequestMemory, systemClock, type AuthorityClock } from './authority-parts.js'
import type { WorkBook } from '../lib/work.js'
import { emptyIds, IdBook, withIds, type Held } from './ids.js'
import { ConfigError } from './issues.js'
import { nameBook } from './names.js'
import { changed, nextEnd, sameEffect, unexpired } from './overlay.js'
import type { ParseOptions } from './parse.js'
import { planConfig } from './plan.js'
import { readHere, type Reader, type ReadJob, type ReadText } from './reader.js'
import { textHash, type ConfigStore, type StoreState } from './store.js'

export interface AuthorityOptions {
  readonly sink: ConfigSink
  readonly store: ConfigStore
  readonly parse: ParseOptions
  /** Where texts are read; default: on the caller's thread. */
  readonly reader?: Reader
  readonly clock?: AuthorityClock
  /** Of the backend in use: what it denies is refused before it is touched. */
  readonly capabilities?: () => readonly Capability[]
  /** Ids that live sessions carry; asked only when numbers run out (R11). */
  readonly held?: Held
  /** Of the host: the same boot means that the dataplane may still run what we last applied. */
  readonly bootId?: string
  /** What ran goes on after a reboot too, unless the startup text was edited: the other node of a pair runs it. */
  readonly resumes?: boolean
  /** Of a pair the node whose word counts: what was put ends there. Default: this one. */
  readonly leads?: () => Promise<boolean>
  /** After every change of what runs, also after an automatic rollback. */
  readonly onApplied?: (applied: Applied, desired: Desired) => void
  /** Told of what is tried again. */
  readonly work?: WorkBook
  /** Something failed with no caller to tell. */
  readonly onProblem?: (what: string, error: unknown) => void
}

/** A generation of the peer. `ids`: what IdBook.toJSON gave. */
export interface Followed { readonly generation: number, readonly text: string, readonly author: string, readonly comment: string, readonly ids: unknown, readonly overlay: Overlay }

export interface Applied { readonly info: GenerationInfo, readonly result: ApplyResult, readonly plan: readonly PlanStep[] }

/** A text as it was read with what was put laid over it. */
interface Laid { readonly overlay: Overlay, readonly read: ReadText }
/** `given`: a number that is not the next one; `laid`: it is read already. */
interface PutOptions { readonly more?: Partial<StoreState>, readonly given?: number, readonly laid?: Laid }

const automatic = (source: ApplyOptions['source'], comment: string): ApplyOptions =>
  ({ author: 'lockstep', comment, source, expectedGeneration: null, confirmWithinMs: null, requestId: null, dryRun: false })
const never = new AbortController().signal
/** Until this node looks again whether it is the one where what was put ends. */
const endsElsewhereMs = 5000

export class Authority implements ConfigAuthority {
  private readonly clock: AuthorityClock
  private readonly reader: Reader
  private readonly turns = new OneAtATime(16)
  private readonly requests: RequestMemory<Applied>
  private readonly deadline: DeadlineTimer
  private readonly ends: DeadlineTimer
  private running: { readonly text: string, readonly desired: Desired } | null = null
  private startup: { readonly text: string, readonly hash: string } | null = null
  /** Texts of the history, so that compare() needs no disk. */
  private readonly texts = new Map<number, string>()
  readonly names: NameBook = nameBook(() => this.ids())

  constructor (private readonly o: AuthorityOptions) {
    this.clock = o.clock ?? systemClock
    this.reader = o.reader ?? readHere
    this.requests = new RequestMemory(this.clock, 600_000, 256)
    this.deadline = new DeadlineTimer(this.clock, async () => { await this.expire() }, (error, againMs) => {
      o.onProblem?.('automatic rollback failed; it is tried again', error)
      o.work?.wait('rollback', '', againMs, error)
    }, () => { o.work?.settled('rollback', '') })
    this.ends = new DeadlineTimer(this.clock, async () => { await this.endOverlay() }, (error, againMs) => {
      o.onProblem?.('what was put for a time does not end; it is tried again', error)
      o.work?.wait('end of what was put', '', againMs, error)
    }, () => { o.work?.settled('end of what was put', '') })
  }

  desired (): Desired | null { return this.running?.desired ?? null }
  ids (): IdTable { return this.running?.desired.ids ?? emptyIds }

  /**
   * Puts a configuration into force: rolls back what expired unconfirmed, else resumes what ran in this boot, else applies the startup
   * text; an edited startup text wins over what ran. `null` = there is nothing to start with.
   */
  async start (signal: AbortSignal): Promise<Applied | null> {
    return await this.turns.run(signal, async () => {
      this.startup = await this.o.store.startup()
      for (const { generation } of this.o.store.state.history) {
        try { this.texts.set(generation, await this.o.store.text(generation)) } catch (error) { this.o.onProblem?.(`generation ${generation}`, error) }
      }
      const { running, unconfirmed, startupHash, bootId } = this.o.store.state
      if (unconfirmed !== null) {
        if (this.clock.now() < unconfirmed.confirmBy && bootId === (this.o.bootId ?? null)) return await this.resume(unconfirmed.generation, signal)
        return await this.rollBackTo(unconfirmed.previous, this.clock.now() < unconfirmed.confirmBy ? 'the host restarted before it was confirmed' : 'not confirmed in time', signal)
      }
      const edited = this.startup !== null && this.startup.hash !== startupHash
      const sameBoot = running !== null && bootId !== null && bootId === (this.o.bootId ?? null)
      if (running !== null && this.texts.has(running) && (this.startup === null || ((sameBoot || (this.o.resumes ?? false)) && !edited) || this.startup.hash === this.o.store.info(running)?.hash)) return await this.resume(running, signal)
      return this.startup === null ? null : await this.applyStartup(this.startup.text, 'startup', signal)
    })
  }

  close (): void {
    this.deadline.cancel()
    this.ends.cancel()
  }

  get overlay (): Overlay { return this.o.store.state.overlay }

  /** What is put or taken back while the configuration runs (D8): no generation of its own, and kept over those that follow. */
  async change (change: OverlayChange, signal: AbortSignal, dryRun = false): Promise<Overlay> {
    return await this.turns.run(signal, async () => {
      if (this.running === null) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'there is no running configuration', { object: 'config', next: 'apply one' })
      const overlay = changed(this.overlay, change, this.running.desired.vips, this.clock.now())
      if (change.kind === 'put-vip') await this.refuseUnfit(overlay, change, signal)
      if (dryRun) return await this.fit(overlay, signal)
      await this.lay(overlay, signal)
      return this.overlay
    })
  }

  /** What runs, for the peer; `null`: nothing, or it waits to be confirmed: what may be taken back is of this node alone. */
  shared (): Followed | null {
    const { running, unconfirmed } = this.o.store.state
    if (unconfirmed !== null) return null
    const info = running === null ? null : this.o.store.info(running)
    return info === null || this.running === null ? null : { generation: info.generation, text: this.running.text, author: info.author, comment: info.comment, ids: this.o.store.ids.toJSON(), overlay: this.overlay }
  }

  status (): ConfigStatus {
    const { running, unconfirmed } = this.o.store.state
    const info = running === null ? null : this.o.store.info(running)
    return {
      running: info,
      startupHash: this.startup?.hash ?? null,
      drift: info !== null && info.hash !== this.startup?.hash,
      unconfirmed: unconfirmed === null ? null : this.o.store.info(unconfirmed.generation),
    }
  }

  text (which: 'running' | 'startup'): string {
    const text = which === 'running' ? this.running?.text : this.startup?.text
    if (text === undefined) throw new LockstepError('stale', 'LS_E_NOT_FOUND', `there is no ${which} configuration`, { object: 'config', next: which === 'running' ? 'apply one' : 'save the running one' })
    return text
  }

  async check (text: string, signal: AbortSignal): Promise<CheckResult> {
    return await this.reader.check({ ...this.job(text), from: this.running?.text ?? null }, signal)
  }

  async apply (text: string, options: ApplyOptions, signal: AbortSignal): Promise<Applied> {
    return await this.once(options, textHash(text), async () => await this.turns.run(signal, async () => {
      this.refuseStale(options)
      this.refuseUnconfirmed()
      return await this.put(text, options, signal)
    }))
  }

  /**
   * What the owner of group 0 has applied (D8): under its number, with its ids. A number that this node has used already, for something else, is refused:
   * the other takes a higher one.
   */
  async follow (peer: Followed, signal: AbortSignal): Promise<void> {
    await this.turns.run(signal, async () => {
      const { store } = this.o
      const running = store.state.running === null ? null : store.info(store.state.running)
      const book = IdBook.fromJSON(peer.ids)
      if (book === null) throw new LockstepError('invalid', 'LS_C_IDS', 'impossible ids', { object: `generation ${peer.generation}`, next: 'both nodes must run versions that understand each other' })
      const same = running?.generation === peer.generation && running.hash === textHash(peer.text)
      if (same && JSON.stringify(book.toJSON()) === JSON.stringify(store.ids.toJSON()) && sameEffect(peer.overlay, this.overlay)) return void await this.prolong(peer.overlay)
      // A number whose only attempt here failed, of the same text, may be tried again.
      const before = store.info(peer.generation)
      const again = before?.state === 'failed' && before.hash === textHash(peer.text)
      if (peer.generation < store.state.next && !same && !again) {
        throw new LockstepError('stale', 'LS_C_GENERATION', 'the number is taken', { object: `generation ${peer.generation}`, found: `the next one here is ${store.state.next}`, expected: `${store.state.next} or higher` })
      }
      await store.saveIds(book)
      const laid = await this.under(peer.text, peer.overlay, signal)
      if (same) return void await this.again(peer.text, peer.generation, laid, signal)
      await this.put(peer.text, { ...automatic('peer', peer.comment), author: peer.author }, signal, { given: peer.generation, laid })
    })
  }

  /** The same text under a higher number: the peer has used ours. */
  async renumber (least: number, signal: AbortSignal): Promise<void> {
    await this.turns.run(signal, async () => {
      const { running } = this.o.store.state
      const info = running === null ? null : this.o.store.info(running)
      if (info === null || running === null || running >= least || this.o.store.state.unconfirmed !== null) return
      await this.put(this.text('running'), { ...automatic(info.source, info.comment), author: info.author }, signal, { given: least })
    })
  }

  async confirm (generation: number): Promise<GenerationInfo> {
    return await this.turns.run(never, async () => {
      const { unconfirmed } = this.o.store.state
      if (unconfirmed?.generation !== generation) {
        throw new LockstepError('stale', 'LS_C_NOT_UNCONFIRMED', 'the generation does not wait for a confirmation', { object: `generation ${generation}`, expected: unconfirmed === null ? 'none waits' : `generation ${unconfirmed.generation}` })
      }
      await this.o.store.commit({ unconfirmed: null, history: this.mark(this.o.store.state.history, generation, 'running') })
      this.deadline.cancel()
      return this.infoOf(generation)
    })
  }

  async rollback (generation: number, options: ApplyOptions, signal: AbortSignal): Promise<Applied> {
    return await this.once(options, `rollback ${generation}`, async () => await this.turns.run(signal, async () => {
      this.refuseStale(options)
      const { unconfirmed } = this.o.store.state
      if (unconfirmed !== null && options.confirmWithinMs !== null) this.refuseUnconfirmed()
      const text = await this.o.store.text(generation)
      return await this.put(text, { ...options, source: 'rollback', comment: options.comment === '' ? `rollback to generation ${generation}` : options.comment }, signal)
    }))
  }

  history (): readonly GenerationInfo[] { return this.o.store.state.history }

  async compare (fromGeneration: number, toGeneration: number, signal: AbortSignal): Promise<readonly PlanStep[]> {
    const text = (generation: number): string => {
      const found = this.texts.get(generation)
      if (found === undefined) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such generation to compare', { object: `generation ${generation}`, expected: `one of ${[...this.texts.keys()].join(', ')}` })
      return found
    }
    const [from, to] = [text(fromGeneration), text(toGeneration)]
    const plan = await this.reader.compare({ ...this.job(to), from }, signal)
    if (plan === null) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'a generation cannot be read with what this host can do now', { object: `generation ${fromGeneration} or ${toGeneration}`, next: 'check its text' })
    return plan
  }

  async save (): Promise<void> {
    await this.turns.run(never, async () => {
      this.refuseUnconfirmed()
      const text = this.text('running')
      await this.o.store.saveStartup(text)
      this.startup = { text, hash: textHash(text) }
    })
  }

  /** The startup text as it is now, for SIGHUP. */
  async reload (signal: AbortSignal): Promise<Applied> {
    return await this.turns.run(signal, async () => {
      this.refuseUnconfirmed()
      this.startup = await this.o.store.startup()
      return await this.applyStartup(this.text('startup'), 'file', signal)
    })
  }

  /** The same request of the same author has the same answer. A trial is made anew each time, and answers no request. */
  private async once (options: ApplyOptions, what: string, run: () => Promise<Applied>): Promise<Applied> {
    if (options.requestId === null || options.dryRun) return await run()
    return await this.requests.once(`${options.author} ${options.requestId}`, `${what} ${JSON.stringify(options)}`, run)
  }

  // --- under the turn ---------------------------------------------------------------------------------------------------

  private job (text: string, overlay = this.overlay): ReadJob { return { text, options: { ...this.o.parse, overlay }, capabilities: this.o.capabilities?.() ?? [] } }

  private async under (text: string, overlay: Overlay, signal: AbortSignal): Promise<Laid> { return { overlay, read: await this.reader.read(this.job(text, overlay), signal) } }

  private async applyStartup (text: string, source: 'startup' | 'file', signal: AbortSignal): Promise<Applied> {
    const how = automatic(source, source === 'startup' ? 'startup configuration' : 'startup configuration reloaded')
    return await this.put(text, how, signal, { more: { startupHash: textHash(text) }, ...(source === 'startup' ? { laid: await this.fitting(text, signal) } : {}) })
  }

  private async put (text: string, options: ApplyOptions, signal: AbortSignal, { more = {}, given = 0, laid }: PutOptions = {}): Promise<Applied> {
    signal.throwIfAborted()
    const { store, sink } = this.o
    const { overlay, read } = laid ?? await this.under(text, this.overlay, signal)
    if (read.desired === null) throw new ConfigError(read.issues, read.issues.every(i => i.code === 'LS_C_UNSUPPORTED') ? 'unsupported' : 'invalid')
    const book = store.ids.assign(read.desired, this.o.held)
    const desired = withIds(read.desired, book)
    const plan = planConfig(this.desired(), desired)
    const now = this.clock.now()
    const confirmBy = options.confirmWithinMs === null ? null : now + options.confirmWithinMs
    const draft = (generation: number, state: GenerationInfo['state']): GenerationInfo =>
      ({ generation, appliedAt: now, author: options.author, comment: options.comment, source: options.source, hash: read.hash, state, confirmBy: state === 'unconfirmed' ? confirmBy : null })
    if (options.dryRun) return { info: draft(store.state.next, 'superseded'), result: sink.lastApplyResult() ?? emptyResult, plan }

    const generation = await store.begin(text, given)
    await store.saveIds(book)
    this.texts.set(generation, text)
    const { unconfirmed, running } = store.state
    let history: readonly GenerationInfo[] = store.state.history
    if (unconfirmed !== null) history = this.mark(history, unconfirmed.generation, 'rolled-back')
    else if (running !== null) history = this.mark(history, running, 'superseded')
    const info = draft(generation, confirmBy === null ? 'running' : 'unconfirmed')
    const commit = await store.stage({
      ...more,
      overlay,
      running: generation,
      unconfirmed: confirmBy === null ? null : { generation, previous: running, confirmBy },
      history: [...history.filter(g => g.generation !== generation), info],
      bootId: this.o.bootId ?? null,
    })
    const failed = async (): Promise<void> => {
      // A rollback that is tried again and again leaves one line, not a history of them.
      const repeats = (g: GenerationInfo): boolean => g.state === 'failed' && g.hash === read.hash && g.comment === options.comment && g.author === 'lockstep'
      await store.commit({ history: [...store.state.history.filter(g => !repeats(g) && g.generation !== generation), draft(generation, 'failed')] })
        .catch((error: unknown) => { this.o.onProblem?.(`generation ${generation} failed, which the history does not tell`, error) })
    }
    let result: ApplyResult
    try {
      result = await sink.apply(desired, generation, signal)
    } catch (error) {
      await failed()
      throw error instanceof ConfigError ? new ConfigError(await this.reader.locate({ text, options: this.o.parse, issues: error.issues }, never), error.errorClass, error.code) : error
    }
    try {
      await commit()
    } catch (error) {
      await this.takeBack(generation, desired)
      await failed()
      throw error
    }
    this.settled()
    this.running = { text, desired }
    const applied: Applied = { info, result: { ...result, warnings: [...new Set([...read.warnings, ...book.warnings, ...result.warnings])] }, plan }
    this.o.onApplied?.(applied, desired)
    return applied
  }

  /** The dataplane took a generation that the disk does not know: what the disk knows is applied again; nothing, when nothing ran. */
  private async takeBack (generation: number, { agent }: Desired): Promise<void> {
    try {
      if (this.running !== null) return void await this.o.sink.apply(this.running.desired, this.o.store.state.running ?? generation, never)
      const { read: { desired: nothing } } = await this.under('{}\n', noOverlay, never)
      if (nothing !== null) await this.o.sink.apply({ ...nothing, agent }, generation, never)
    } catch (error) {
      this.o.onProblem?.(`generation ${generation} was not committed, but forwards: the configuration before it could not be put back`, error)
    }
  }

  /** After a commit that changed what runs. */
  private settled (): void {
    const kept = new Set(this.o.store.state.history.map(g => g.generation))
    for (const generation of this.texts.keys()) if (!kept.has(generation)) this.texts.delete(generation)
    const { unconfirmed } = this.o.store.state
    this.ends.set(nextEnd(this.overlay))
    if (unconfirmed === null) this.deadline.cancel()
    else this.deadline.set(unconfirmed.confirmBy)
  }

  /** The same generation again: after a restart of the agent, or with another overlay. */
  private async again (text: string, generation: number, { overlay, read }: Laid, signal: AbortSignal): Promise<Applied> {
    if (read.desired === null) throw new ConfigError(read.issues)
    const { store, sink } = this.o
    const before = this.running
    const book = store.ids.assign(read.desired, this.o.held)
    await store.saveIds(book)
    const desired = withIds(read.desired, book)
    const result = await sink.apply(desired, generation, signal)
    try {
      await store.commit({ running: generation, overlay, bootId: this.o.bootId ?? null })
    } catch (error) {
      if (before !== null) await this.takeBack(generation, desired)
      throw error
    }
    this.settled()
    this.running = { text, desired }
    const applied: Applied = { info: this.infoOf(generation), result: { ...result, warnings: [...new Set([...read.warnings, ...book.warnings, ...result.warnings])] }, plan: planConfig(before?.desired ?? null, desired) }
    this.o.onApplied?.(applied, desired)
    return applied
  }

  private async resume (generation: number, signal: AbortSignal): Promise<Applied> {
    const text = await this.o.store.text(generation)
    return await this.again(text, generation, await this.fitting(text, signal), signal)
  }

  /** What has to come into force whatever was put: with all of it that has not ended, or with nothing if it does not fit the text. */
  private async fitting (text: string, signal: AbortSignal): Promise<Laid> {
    const laid = await this.under(text, unexpired(this.overlay, this.clock.now()), signal)
    if (laid.read.desired !== null) return laid
    const bare = await this.under(text, noOverlay, signal)
    if (bare.read.desired === null) return laid
    this.o.onProblem?.('what was put while the agent ran does not fit the configuration, and is dropped', new ConfigError(laid.read.issues))
    return bare
  }

  /** A VIP without reals is in no configuration yet: with one it is looked at as it will be. */
  private async refuseUnfit (overlay: Overlay, { vip, settings }: Extract<OverlayChange, { kind: 'put-vip' }>, signal: AbortSignal): Promise<void> {
    if (overlay.reals.some(r => r.vip === vip)) return
    const trial = { vip, pool: '', reals: [{ address: settings.address.includes(':') ? '2001:db8::1' : '192.0.2.1' }], owner: '', reason: '', since: 0, until: null }
    const { read } = await this.under(this.text('running'), { ...overlay, reals: [...overlay.reals, trial] }, signal)
    if (read.desired === null) throw new ConfigError(read.issues)
  }

  /** Would be taken. */
  private async fit (overlay: Overlay, signal: AbortSignal): Promise<Overlay> {
    const { read } = await this.under(this.text('running'), overlay, signal)
    if (read.desired === null) throw new ConfigError(read.issues)
    return overlay
  }

  /** Another overlay under the running configuration. */
  private async lay (overlay: Overlay, signal: AbortSignal): Promise<void> {
    const { running } = this.o.store.state
    if (this.running === null || running === null) return
    if (sameEffect(overlay, this.overlay)) await this.prolong(overlay)
    else await this.again(this.running.text, running, await this.under(this.running.text, overlay, signal), signal)
  }

  /** One that forwards as the one before. */
  private async prolong (overlay: Overlay): Promise<void> {
    await this.o.store.commit({ overlay })
    this.ends.set(nextEnd(overlay))
  }

  private async endOverlay (): Promise<void> {
    if (!await (this.o.leads?.() ?? Promise.resolve(true))) {
      this.ends.set(this.clock.now() + endsElsewhereMs)
      return
    }
    await this.turns.run(never, async () => { await this.lay(unexpired(this.overlay, this.clock.now()), never) })
  }

  private async expire (): Promise<void> {
    await this.turns.run(never, async () => {
      const { unconfirmed } = this.o.store.state
      if (unconfirmed === null || this.clock.now() < unconfirmed.confirmBy) return
      await this.rollBackTo(unconfirmed.previous, 'not confirmed in time', never)
    })
  }

  private async rollBackTo (previous: number | null, why: string, signal: AbortSignal): Promise<Applied | null> {
    const text = previous === null ? this.startup?.text ?? null : await this.o.store.text(previous)
    const comment = `${why}: back to ${previous === null ? 'the startup configuration' : `generation ${previous}`}`
    // Nothing ran before and nothing to start with: an empty configuration forwards nothing and allows management only.
    const back = text ?? '{}\n'
    return await this.put(back, automatic('rollback', comment), signal, { laid: await this.fitting(back, signal) })
  }

  private mark (history: readonly GenerationInfo[], generation: number, state: GenerationInfo['state']): readonly GenerationInfo[] {
    return history.map(g => g.generation === generation ? { ...g, state, confirmBy: null } : g)
  }

  private infoOf (generation: number): GenerationInfo {
    const info = this.o.store.info(generation)
    if (info === null) throw new LockstepError('bug', 'LS_E_BUG', 'a generation in force is not in the history', { object: `generation ${generation}` })
    return info
  }

  private refuseStale (options: ApplyOptions): void {
    const { running } = this.o.store.state
    if (options.expectedGeneration !== null && options.expectedGeneration !== (running ?? 0)) {
      throw new LockstepError('stale', 'LS_C_STALE', 'another generation is running', { object: 'config', found: `generation ${running ?? 0}`, expected: `generation ${options.expectedGeneration}`, next: 'read the running configuration and decide again' })
    }
  }

  private refuseUnconfirmed (): void {
    const { unconfirmed } = this.o.store.state
    if (unconfirmed === null) return
    throw new LockstepError('stale', 'LS_C_UNCONFIRMED', 'an unconfirmed generation is running', { object: `generation ${unconfirmed.generation}`, found: `to be confirmed by ${new Date(unconfirmed.confirmBy).toISOString()}`, next: 'confirm it, or roll back' })
  }
}

const emptyResult: ApplyResult = {
  generation: 0, zoneIds: {}, managedInterfaces: [], filterIds: {}, filterSpans: {}, natCounterIds: {}, poolIds: {}, policyNames: {}, appNames: {}, policyScheduleRuleSlots: {},
  vips: {}, capabilities: { supported: [], unsupportedReasons: {} }, warnings: [], durations: { compileMs: 0, portsMs: 0, flipMs: 0, totalMs: 0 },
}
