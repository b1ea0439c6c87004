/** Every packet reads CLOCK_MONOTONIC: it must not cost a trip to a device. */
import { from, ok, warning, type HostCheck } from '../finding.js'

/** These are read over a bus, a thousand times slower than a register. */
const SLOW = ['hpet', 'acpi_pm', 'pit', 'jiffies', 'refined-jiffies']
/** Read by the CPU itself, best first. */
const FAST = ['tsc', 'kvm-clock', 'hyperv_clocksource_tsc_page', 'arch_sys_counter']

export const clocksource: HostCheck = {
  id: 'clocksource',
  look: (facts) => from([facts.clock], ([{ current, available }], source) => {
    if (!SLOW.includes(current)) return [ok(`the clock is ${current}`, source)]
    const better = FAST.find((c) => available.includes(c))
    return [warning({
      finding: `the clock is ${current}`,
      consequence: `reading the time costs about a microsecond, on every packet${better === undefined ? '; the kernel offers no better one: it found the CPU\'s counter unreliable (dmesg | grep -i tsc)' : ''}`,
      command: better === undefined ? '' : `echo ${better} > /sys/devices/system/clocksource/clocksource0/current_clocksource`, source
    })]
  })
}
