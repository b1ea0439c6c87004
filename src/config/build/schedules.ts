/** `schedules`. */
import type { DateWindow, Schedule, Weekday, WeeklyWindow } from '../../contract/desired.js'
import { pointer } from '../issues.js'
import { many, type RawConfig, type RawSchedule } from '../raw.js'
import { entries, type Build } from './context.js'

const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const groups: Readonly<Record<string, readonly Weekday[]>> = { daily: [0, 1, 2, 3, 4, 5, 6], weekdays: [1, 2, 3, 4, 5], weekend: [0, 6] }

export function buildSchedules (b: Build, raw: RawConfig['schedules']): Schedule[] {
  return entries(raw).map(([name, schedule]) => {
    const path = pointer('/schedules', name)
    const timeZone = schedule['time-zone'] ?? 'UTC'
    if (!knownTimeZone(timeZone)) b.issue(pointer(path, 'time-zone'), 'LS_C_VALUE', 'no such time zone', timeZone, 'an IANA name like Europe/Berlin or UTC')
    const weekly = b.each(pointer(path, 'weekly'), schedule.weekly).map(([place, window]) => weeklyWindow(b, place, window))
    const dates = b.each(pointer(path, 'dates'), schedule.dates).map(([place, window]) => dateWindow(b, place, window))
    if (many(schedule.weekly).length + many(schedule.dates).length === 0) b.issue(path, 'LS_C_REQUIRED', 'a schedule without windows is never in force', b.raw(path), 'weekly or dates')
    return { name, timeZone, weekly, dates }
  }).sort((x, y) => x.name < y.name ? -1 : 1)
}

type RawWeekly = NonNullable<RawSchedule['weekly']>[number]

function knownTimeZone (name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name })
    return true
  } catch {
    return false
  }
}

function weeklyWindow (b: Build, path: string, raw: RawWeekly): WeeklyWindow {
  const days = new Set<Weekday>()
  for (const [place, item] of b.each<string>(pointer(path, 'days'), raw.days ?? 'daily')) {
    const found = dayList(item.toLowerCase())
    if (found === null) b.issue(place, 'LS_C_VALUE', 'not a day', item, 'mon ... sun, a range like mon-fri, daily, weekdays or weekend')
    for (const day of found ?? []) days.add(day)
  }
  const from = minutes(raw.from)
  const to = minutes(raw.to)
  if (from === to || from === 1440) b.issue(path, 'LS_C_VALUE', 'the window is empty', `${raw.from} to ${raw.to}`, 'a later end; the whole day is 00:00 to 24:00')
  return { days: [...days].sort(), from, to }
}

function dayList (text: string): readonly Weekday[] | null {
  if (Object.hasOwn(groups, text)) return groups[text] ?? null
  const [first = '', last = first, ...rest] = text.split('-')
  const a = dayNames.indexOf(first.slice(0, 3))
  const z = dayNames.indexOf(last.slice(0, 3))
  if (a < 0 || z < 0 || rest.length > 0 || !/^[a-z]{3,9}$/.test(first) || !/^[a-z]{3,9}$/.test(last)) return null
  return Array.from({ length: (z - a + 7) % 7 + 1 }, (_, i) => (a + i) % 7 as Weekday)
}

const minutes = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5))

function dateWindow (b: Build, path: string, raw: DateWindow): DateWindow {
  const full = (text: string): string => text.length === 10 ? `${text}T00:00` : text
  const window = { from: full(raw.from), to: full(raw.to) }
  for (const key of ['from', 'to'] as const) {
    const t = Date.parse(`${window[key]}:00Z`)
    if (Number.isNaN(t) || new Date(t).toISOString().slice(0, 16) !== window[key]) b.issue(pointer(path, key), 'LS_C_VALUE', 'no such date', raw[key], 'YYYY-MM-DD or YYYY-MM-DDTHH:MM')
  }
  if (window.to <= window.from) b.issue(path, 'LS_C_VALUE', 'the window is empty', `${raw.from} to ${raw.to}`, 'an end after the start')
  return window
}
