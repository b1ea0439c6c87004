/** lockstep.v1.Events: the journal as messages. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { mayReadAudit } from '../contract/access.js'
import { eventLevels } from '../contract/balancing.js'
import { LockstepError } from '../contract/errors.js'
import { eventAreas, journalLost, type EventArea, type EventJournal, type NumberedEvent } from '../contract/events.js'
import type { Event, EventMessages, EventsWatchRequest } from '../generated/proto/lockstep/v1/events.js'
import { eventId, eventSeq } from '../lib/event-id.js'
import { fieldMessages } from './cluster-message.js'
import { watchEvents } from './event-watch.js'
import type { ServiceNeeds } from './needs.js'
import { streaming } from './handler.js'
import { Seats } from './turns.js'

const WATCHERS_MAX = 256

export function eventsImplementation (journal: EventJournal, { onBug, onLost, subscribers }: ServiceNeeds): UntypedServiceImplementation {
  const seats = new Seats('watchers of events', WATCHERS_MAX)
  return {
    watch: streaming<EventsWatchRequest, EventMessages>(onBug, async ({ minLevel, areas, names, after }, context) => {
      const least = eventLevels.findIndex(level => level === (minLevel === '' ? 'info' : minLevel))
      if (least < 0) throw new LockstepError('invalid', 'LS_R_LEVEL', 'no such level', { object: 'min_level', found: minLevel, expected: eventLevels.join(', ') })
      const unknown = areas.find(area => !eventAreas.includes(area as EventArea))
      if (unknown !== undefined) throw new LockstepError('invalid', 'LS_R_AREA', 'no such area', { object: 'areas', found: unknown, expected: eventAreas.join(', ') })
      const audit = context.role === null || mayReadAudit(context.role)
      if (!audit && areas.includes('audit')) throw new LockstepError('unavailable', 'LS_E_PERMISSION', 'the area audit tells of other callers', { object: 'areas', found: `the role ${context.role ?? ''}`, expected: 'an operator', next: 'without areas all others are told' })
      let last = 0
      const wanted = ({ level, area, name }: NumberedEvent): boolean => name === lostName || (eventLevels.indexOf(level) >= least && (areas.length === 0 || areas.includes(area)) && (audit || area !== 'audit') && (names.length === 0 || names.includes(name)))
      const messageOf = (events: readonly NumberedEvent[]): EventMessages => ({ events: events.map(event => eventMessage(journal.epoch, event)) })
      await seats.hold(async () => {
        await watchEvents({
          watch: onEvent => journal.watch(eventSeq(after, journal.epoch), (event) => { last = event.seq; onEvent(event) }),
          lost: (n) => { onLost(n); return { ...journalLost(n), seq: last } }, wanted,
          enter: standing => subscribers.enter('Events', areas.length === 0 ? 'all areas' : areas.join(', '), context.caller, () => ({ ...standing(), position: last, resyncs: 0, detail: `${minLevel === '' ? 'info' : minLevel} and above${names.length === 0 ? '' : `: ${names.join(', ').slice(0, 200)}`}` }))
        }, messageOf, context)
      })
    })
  }
}

const lostName = journalLost(0).name

const eventMessage = (epoch: string, { seq, at, area, name, level, object, fields }: NumberedEvent): Event => ({ id: eventId(epoch, seq), atMs: BigInt(Math.round(at)), area, name, level, object, fields: fieldMessages(fields) })
