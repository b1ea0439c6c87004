const tcp = (...ports) => ({ protocol: 'tcp', 'destination-port': ports });
const udp = (...ports) => ({ protocol: 'udp', 'destination-port': ports });
const both = (...ports) => ({ protocol: ['tcp', 'udp'], 'destination-port': ports });
export const wellKnownApplications = {
    tcp: [{ protocol: 'tcp' }], udp: [{ protocol: 'udp' }], icmp: [{ protocol: 'icmp' }], icmp6: [{ protocol: 'icmp6' }], sctp: [{ protocol: 'sctp' }],
    gre: [{ protocol: 'gre' }], esp: [{ protocol: 'esp' }], ah: [{ protocol: 'ah' }], ospf: [{ protocol: 'ospf' }], vrrp: [{ protocol: 'vrrp' }], pim: [{ protocol: 'pim' }],
    ping: [{ protocol: 'icmp', 'icmp-type': 8 }, { protocol: 'icmp6', 'icmp-type': 128 }],
    traceroute: [udp('33434-33534'), { protocol: 'icmp', 'icmp-type': 8 }, { protocol: 'icmp6', 'icmp-type': 128 }],
    ftp: [tcp(21)], ssh: [tcp(22)], telnet: [tcp(23)], smtp: [tcp(25)], dns: [both(53)], dhcp: [udp('67-68', '546-547')], tftp: [udp(69)],
    http: [tcp(80)], kerberos: [both(88)], pop3: [tcp(110)], ntp: [udp(123)], imap: [tcp(143)], snmp: [udp('161-162')], bgp: [tcp(179)], ldap: [both(389)],
    https: [tcp(443)], quic: [udp(443)], smb: [tcp(445)], ike: [udp(500, 4500)], syslog: [udp(514)], submission: [tcp(587)], ldaps: [tcp(636)],
    'dns-over-tls': [tcp(853)], imaps: [tcp(993)], pop3s: [tcp(995)], radius: [udp('1812-1813')], nfs: [both(2049)], mysql: [tcp(3306)], rdp: [both(3389)],
    bfd: [udp('3784-3785', 4784)], vxlan: [udp(4789)], sip: [both('5060-5061')], postgresql: [tcp(5432)], amqp: [tcp('5671-5672')], redis: [tcp(6379)],
    wireguard: [udp(51820)], netconf: [tcp(830)], iperf3: [both(5201)],
};
/** The usable names of `host-inbound` beside any and ping: those applications that a router itself may serve. */
export const hostServices = ['ftp', 'ssh', 'telnet', 'dns', 'tftp', 'http', 'https', 'ntp', 'snmp', 'bgp', 'bfd', 'ike', 'syslog', 'radius',
    'ospf', 'vrrp', 'pim', 'gre', 'esp', 'ah', 'traceroute', 'netconf', 'wireguard', 'vxlan', 'iperf3', 'tcp', 'udp', 'sctp'];
//# sourceMappingURL=well-known.js.map