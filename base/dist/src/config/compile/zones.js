import { phase, screen } from '../../generated/codes.js';
import { layout, limits } from '../../generated/layout.js';
import { gatewayPorts } from '../build/checks.js';
import { at, config } from './bank.js';
const zone = layout.ls_zone;
const service = layout.ls_service;
export function writeZones(bank, d) {
    const profiles = new Map(d.screens.map(s => [s.name, s]));
    for (const z of d.zones) {
        const base = at(config.zone, d.ids.zone[z.name] ?? 0);
        const flags = (z.fragments === 'drop' ? limits.LS_ZF_FRAGS_DROP : 0) | (z.multicast ? limits.LS_ZF_MULTICAST : 0) | (z.dhcp ? limits.LS_ZF_DHCP : 0) |
            (z.tcpLoose ? limits.LS_ZF_TCP_LOOSE : 0) | (z.hostInbound.ping ? limits.LS_ZF_PING : 0) | (z.hostInbound.any ? limits.LS_ZF_HOST_ANY : 0) |
            (z.icmpErrors ? 0 : limits.LS_ZF_ICMP_ERRORS_OFF);
        bank.u32(base + zone.flags.offset, flags);
        const rates = profiles.get(z.screen ?? '')?.limits ?? {};
        let screens = 0;
        screen.forEach(({ name }, i) => {
            const rate = rates[name];
            if (rate === undefined)
                return;
            screens |= 1 << i;
            bank.u32(base + zone.limit.offset + i * zone.limit.stride, rate);
        });
        bank.u32(base + zone.screens.offset, screens);
        bank.u16(base + zone.services.offset, z.hostInbound.services.length);
        bank.u8(base + zone.rg.offset, z.redundancyGroup);
        z.hostInbound.services.forEach(({ protocol, ports }, i) => {
            const to = base + zone.service.offset + i * zone.service.stride;
            bank.u8(to + service.proto.offset, protocol);
            bank.u16(to + service.port_lo.offset, ports.from);
            bank.u16(to + service.port_hi.offset, ports.to);
        });
    }
}
/** Every row is filled: an id that a live session still carries always has timeouts. */
export function writeTimeouts(bank, d) {
    const own = new Map(d.applications.filter(a => !a.inline).map(a => [d.ids.app[a.name] ?? 0, a.timeouts]));
    for (let app = 0; app < limits.LS_APPS_MAX; app++) {
        const row = app === 0 ? {} : own.get(app) ?? {};
        phase.forEach(({ name, ms }, i) => {
            const value = row[name] ?? d.timeouts[name] ?? ms;
            bank.u64(at(config.timeout_ns, app * limits.LS_PHASES_MAX + i), BigInt(value) * 1000000n);
        });
    }
}
/** Management allow (D1) and the host's ephemeral range (R17). */
export function writeHost(bank, d, facts, warnings) {
    const ports = [...new Set([...d.agent.management.ports, ...gatewayPorts(d.agent.gateway), ...facts.sshPorts ?? []])];
    if (ports.length > limits.LS_MGMT_PORTS_MAX)
        warnings.push(`${ports.length} management ports, ${limits.LS_MGMT_PORTS_MAX} places: ${ports.slice(limits.LS_MGMT_PORTS_MAX).join(', ')} left out`);
    ports.slice(0, limits.LS_MGMT_PORTS_MAX).forEach((port, i) => { bank.u16(at(config.mgmt_port, i), port); });
    const { hostPorts } = d.agent;
    bank.u16(config.host_port_lo.offset, hostPorts.from);
    bank.u16(config.host_port_hi.offset, hostPorts.to);
    const real = facts.ephemeralPorts;
    if (real !== undefined && (real.from < hostPorts.from || real.to > hostPorts.to)) {
        warnings.push(`the kernel's ephemeral ports ${real.from}-${real.to} reach beyond agent.host-ports ${hostPorts.from}-${hostPorts.to}: replies to flows of this host may be dropped`);
    }
}
//# sourceMappingURL=zones.js.map