/** Every error has its path, line, the value found and what was expected; all are told at once. */
import t from 'tap'
import { ConfigError } from '../../../src/config/index.js'
import { base, read } from './support.js'

interface Case { readonly what: string, readonly yaml: string, readonly path: string, readonly code: string, readonly says?: RegExp, readonly line?: number }

const cases: Case[] = [
  // text
  { what: 'an unclosed bracket', yaml: 'zones: [', path: '', code: 'LS_C_SYNTAX' },
  { what: 'a tab as indentation', yaml: 'zones:\n\tinside: {}', path: '', code: 'LS_C_SYNTAX', line: 2 },
  { what: 'a duplicate key', yaml: 'zones:\n  a: {}\n  a: {}\n', path: '/zones/a', code: 'LS_C_DUPLICATE_KEY', line: 3 },
  { what: 'two documents', yaml: 'zones: {}\n---\nzones: {}\n', path: '', code: 'LS_C_SYNTAX' },
  { what: 'an unknown tag', yaml: 'zones: !!js/function "x"\n', path: '', code: 'LS_C_SYNTAX' },
  { what: 'an alias without anchor', yaml: 'zones: *nowhere\n', path: '/zones', code: 'LS_C_SIZE', says: /no anchor/ },
  { what: 'a list instead of a map', yaml: '- 1\n', path: '', code: 'LS_C_TYPE' },
  // keys
  { what: 'a misspelled section', yaml: 'intefaces: {}\n', path: '/intefaces', code: 'LS_C_UNKNOWN_KEY', says: /did you mean interfaces\?/, line: 1 },
  { what: 'a misspelled key', yaml: 'agent:\n  lod-level: info\n', path: '/agent/lod-level', code: 'LS_C_UNKNOWN_KEY', says: /did you mean log-level\?/, line: 2 },
  { what: 'a key that nothing would use: every policy is counted', yaml: 'policies: [{name: a, action: permit, count: false}]\n', path: '/policies/0/count', code: 'LS_C_UNKNOWN_KEY', line: 1 },
  { what: 'an underscore for a dash', yaml: 'agent: {log_level: info}\n', path: '/agent/log_level', code: 'LS_C_UNKNOWN_KEY', says: /did you mean log-level\?/ },
  { what: 'a key that resembles nothing', yaml: 'agent: {banana: 1}\n', path: '/agent/banana', code: 'LS_C_UNKNOWN_KEY', says: /expected one of backend/ },
  { what: 'a missing key', yaml: 'policies:\n  - {name: p}\n', path: '/policies/0', code: 'LS_C_REQUIRED', says: /action is missing/ },
  { what: 'a name with a space', yaml: 'zones: {"a b": {}}\n', path: '/zones/a b', code: 'LS_C_VALUE', says: /letters, digits/ },
  // bgp
  { what: 'a source of no type', yaml: 'bgp: {sources: {a: {}}}\n', path: '/bgp/sources/a', code: 'LS_C_REQUIRED' },
  { what: 'a key of another type', yaml: 'bgp: {sources: {a: {type: bird, pathspace: x}}}\n', path: '/bgp/sources/a/pathspace', code: 'LS_C_CONFLICT', says: /type bird has no pathspace/ },
  { what: 'a socket and a pathspace', yaml: 'bgp: {sources: {a: {type: frr, socket: /run/x, pathspace: x}}}\n', path: '/bgp/sources/a/pathspace', code: 'LS_C_CONFLICT' },
  { what: 'a relative socket', yaml: 'bgp: {sources: {a: {type: frr, socket: here}}}\n', path: '/bgp/sources/a/socket', code: 'LS_C_VALUE', says: /absolute/ },
  { what: 'GoBGP elsewhere: it asks nobody who they are', yaml: 'bgp: {sources: {a: {type: gobgp, address: "192.0.2.1:50051"}}}\n', path: '/bgp/sources/a/address', code: 'LS_C_VALUE', says: /loopback/ },
  { what: 'BMP from anybody', yaml: 'bgp: {sources: {a: {type: bmp, listen: "0.0.0.0:11019"}}}\n', path: '/bgp/sources/a/listen', code: 'LS_C_VALUE', says: /nobody else may tell/ },
  { what: 'one place twice', yaml: 'bgp: {sources: {a: {type: frr}, b: {type: frr}}}\n', path: '/bgp/sources/b', code: 'LS_C_DUPLICATE', says: /another one than that of a/ },
  { what: 'a maximum age below the interval', yaml: 'bgp: {interval: 10s, max-age: 5s}\n', path: '/bgp/max-age', code: 'LS_C_CONFLICT', says: /more than interval and timeout together, 12s/ },
  { what: 'routes for nobody', yaml: 'bgp: {announce: {}}\n', path: '/bgp/announce', code: 'LS_C_CONFLICT', says: /kernel-table, gobgp or both/ },
  { what: 'routes in the main table', yaml: 'bgp: {announce: {kernel-table: 254}}\n', path: '/bgp/announce/kernel-table', code: 'LS_C_VALUE', says: /packets are looked up in this table/ },
  { what: 'a table beyond 32 bits', yaml: 'bgp: {announce: {kernel-table: 4294967296, gobgp: "127.0.0.1:50051"}}\n', path: '/bgp/announce/kernel-table', code: 'LS_C_VALUE' },
  { what: 'routes for a GoBGP elsewhere', yaml: 'bgp: {announce: {gobgp: "192.0.2.1:50051"}}\n', path: '/bgp/announce/gobgp', code: 'LS_C_VALUE', says: /loopback/ },
  { what: 'no community', yaml: 'bgp: {announce: {gobgp: "127.0.0.1:50051", communities: ["64512:100", "65536:1"]}}\n', path: '/bgp/announce/communities/1', code: 'LS_C_VALUE', says: /two numbers up to 65535/ },
  { what: 'communities in the kernel', yaml: 'bgp: {announce: {kernel-table: 179, communities: ["1:1"]}}\n', path: '/bgp/announce/communities', code: 'LS_C_CONFLICT', says: /no communities/ },
  { what: 'a route that stays too long', yaml: 'bgp: {announce: {kernel-table: 179, withdraw-after: 2h}}\n', path: '/bgp/announce/withdraw-after', code: 'LS_C_VALUE', says: /0s to 1h/ },
  { what: 'reports of nothing', yaml: 'bgp: {report: {sinks: {a: {type: file, path: /tmp/x}}}}\n', path: '/bgp/report', code: 'LS_C_CONFLICT', says: /bgp.sources/ },
  { what: 'a key of another sink', yaml: 'bgp: {sources: {a: {type: bird}}, report: {sinks: {a: {type: file, path: /tmp/x, url: "http://127.0.0.1/"}}}}\n', path: '/bgp/report/sinks/a/url', code: 'LS_C_CONFLICT', says: /type file has no url/ },
  { what: 'a ledger without its key', yaml: 'bgp: {sources: {a: {type: bird}}, report: {sinks: {a: {type: solana, url: "http://127.0.0.1/", program: localnet, device: "11111111111111111111111111111111"}}}}\n', path: '/bgp/report/sinks/a', code: 'LS_C_REQUIRED', says: /keypair-file/ },
  { what: 'a program that is no address', yaml: 'bgp: {sources: {a: {type: bird}}, report: {sinks: {a: {type: solana, url: "http://127.0.0.1/", program: mars, device: "11111111111111111111111111111111", keypair-file: /etc/key}}}}\n', path: '/bgp/report/sinks/a/program', code: 'LS_C_VALUE', says: /32 bytes in base58, or one of/ },
  { what: 'two sinks in one file', yaml: 'bgp: {sources: {a: {type: bird}}, report: {sinks: {a: {type: file, path: /tmp/x}, b: {type: file, path: /tmp/x}}}}\n', path: '/bgp/report/sinks/b', code: 'LS_C_DUPLICATE', says: /two sinks are one place: found "\/tmp\/x", expected another one than that of a/ },
  { what: 'a password in the URL of a sink', yaml: 'bgp: {sources: {a: {type: bird}}, report: {sinks: {a: {type: webhook, url: "https://user:secret@example.net/hook?k=hidden"}}}}\n', path: '/bgp/report/sinks/a/url', code: 'LS_C_VALUE', says: /must not have a user or password: found "example\.net", expected none; put a token/ },
  { what: 'a port that HTTP clients refuse', yaml: 'bgp: {sources: {a: {type: bird}}, report: {sinks: {a: {type: solana, url: "http://127.0.0.1:179/hidden", program: localnet, device: "11111111111111111111111111111111", keypair-file: /etc/key}}}}\n', path: '/bgp/report/sinks/a/url', code: 'LS_C_VALUE', says: /not connect to this port.*found "127\.0\.0\.1:179", expected another port/ },
  { what: 'a URL that is none', yaml: 'bgp: {sources: {a: {type: bird}}, report: {sinks: {a: {type: webhook, url: "http://u:secret@[::1/"}}}}\n', path: '/bgp/report/sinks/a/url', code: 'LS_C_VALUE', says: /not a URL: found "21 characters"/ },
  { what: 'a grace of a year', yaml: 'bgp: {sources: {a: {type: bird}}, report: {grace: 9000h, sinks: {a: {type: file, path: /tmp/x}}}}\n', path: '/bgp/report/grace', code: 'LS_C_VALUE' },
  { what: 'a relative file', yaml: 'bgp: {sources: {a: {type: bird}}, report: {sinks: {a: {type: file, path: x}}}}\n', path: '/bgp/report/sinks/a/path', code: 'LS_C_VALUE', says: /absolute/ },
  { what: 'an interval that is no interval', yaml: 'bgp: {interval: 1ms}\n', path: '/bgp/interval', code: 'LS_C_VALUE', says: /200ms to 5m/ },
  // values
  { what: 'a wrong type', yaml: 'zones: {a: {tcp-loose: maybe}}\n', path: '/zones/a/tcp-loose', code: 'LS_C_TYPE', says: /found "maybe", expected true or false/ },
  { what: 'a wrong choice', yaml: 'agent: {backend: userspcae}\n', path: '/agent/backend', code: 'LS_C_VALUE', says: /did you mean userspace\?/ },
  { what: 'a number out of range', yaml: 'interfaces: {eth0: {zone: a, vlan: 5000}}\nzones: {a: {}}\n', path: '/interfaces/eth0/vlan', code: 'LS_C_VALUE', says: /found 5000, expected 0 to 4094/ },
  { what: 'a capacity that is no power of two', yaml: 'agent: {table: {capacity: 1000000}}\n', path: '/agent/table/capacity', code: 'LS_C_VALUE', says: /for example 1048576/ },
  { what: 'a capacity that is too large', yaml: 'agent: {table: {capacity: 64M}}\n', path: '/agent/table/capacity', code: 'LS_C_VALUE' },
  { what: 'a relative state directory', yaml: 'agent: {state-dir: here}\n', path: '/agent/state-dir', code: 'LS_C_VALUE', says: /absolute/ },
  { what: 'a listen address without port', yaml: 'agent: {gateway: {grpc: localhost}}\n', path: '/agent/gateway/grpc', code: 'LS_C_VALUE' },
  { what: 'a collector without a URL', yaml: 'agent: {tracing: {endpoint: "127.0.0.1:4318"}}\n', path: '/agent/tracing/endpoint', code: 'LS_C_VALUE', says: /not the URL of a collector/, line: 1 },
  { what: 'a collector of another protocol', yaml: 'agent: {tracing: {endpoint: "grpc://127.0.0.1:4317"}}\n', path: '/agent/tracing/endpoint', code: 'LS_C_VALUE', says: /not the URL of a collector/ },
  { what: 'plain http to a collector elsewhere', yaml: 'agent: {tracing: {endpoint: "http://192.0.2.7:4318"}}\n', path: '/agent/tracing/endpoint', code: 'LS_C_VALUE', says: /plain http is for loopback/ },
  { what: 'a name that only looks like loopback', yaml: 'agent: {tracing: {endpoint: "http://127.0.0.1.example.net:4318"}}\n', path: '/agent/tracing/endpoint', code: 'LS_C_VALUE', says: /plain http is for loopback/ },
  { what: 'a password in a URL', yaml: 'agent: {tracing: {endpoint: "https://user:secret@example.net"}}\n', path: '/agent/tracing/endpoint', code: 'LS_C_VALUE', says: /must not have a password: found "example\.net"/ },
  { what: 'tracing without a collector', yaml: 'agent: {tracing: {sample: 0.5}}\n', path: '/agent/tracing', code: 'LS_C_REQUIRED' },
  { what: 'more than all samples', yaml: 'agent: {tracing: {endpoint: "http://127.0.0.1:4318", sample: 2}}\n', path: '/agent/tracing/sample', code: 'LS_C_VALUE' },
  { what: 'a timeout without a unit that exists', yaml: 'timeouts: {udp-new: 5 weeks}\n', path: '/timeouts/udp-new', code: 'LS_C_VALUE', says: /1s to 366d/ },
  { what: 'a timeout of zero', yaml: 'timeouts: {udp-new: 0}\n', path: '/timeouts/udp-new', code: 'LS_C_VALUE' },
  { what: 'an octet beyond 255', yaml: `${base}address-book: {x: 10.0.0.256}\n`, path: '/address-book/x', code: 'LS_C_VALUE', says: /not an address/ },
  { what: 'a prefix too long', yaml: `${base}address-book: {x: 10.0.0.0/33}\n`, path: '/address-book/x', code: 'LS_C_VALUE' },
  { what: 'a v4-mapped address', yaml: `${base}address-book: {x: "::ffff:10.0.0.1"}\n`, path: '/address-book/x', code: 'LS_C_VALUE', says: /IPv4 as IPv4/ },
  { what: 'an address book that contains itself', yaml: `${base}address-book: {x: y, y: [x]}\n`, path: '/address-book/y/0', code: 'LS_C_CONFLICT', says: /contains itself/ },
  { what: 'a port range backwards', yaml: 'applications: {x: {protocol: tcp, destination-port: 90-80}}\n', path: '/applications/x/destination-port', code: 'LS_C_VALUE' },
  { what: 'ports of a protocol without', yaml: 'applications: {x: {protocol: gre, destination-port: 1}}\n', path: '/applications/x', code: 'LS_C_CONFLICT', says: /no ports/ },
  { what: 'an unknown protocol', yaml: 'applications: {x: {protocol: tpc}}\n', path: '/applications/x/protocol', code: 'LS_C_VALUE' },
  { what: 'a time zone that does not exist', yaml: 'schedules: {x: {time-zone: Europe/Paaris, weekly: [{from: "08:00", to: "17:00"}]}}\n', path: '/schedules/x/time-zone', code: 'LS_C_VALUE' },
  { what: 'a date that does not exist', yaml: 'schedules: {x: {dates: [{from: 2026-02-30, to: 2026-03-01}]}}\n', path: '/schedules/x/dates/0/from', code: 'LS_C_VALUE', says: /no such date/ },
  { what: 'an empty window', yaml: 'schedules: {x: {weekly: [{from: "08:00", to: "08:00"}]}}\n', path: '/schedules/x/weekly/0', code: 'LS_C_VALUE', says: /empty/ },
  { what: 'a day that does not exist', yaml: 'schedules: {x: {weekly: [{days: [mon, mun], from: "08:00", to: "09:00"}]}}\n', path: '/schedules/x/weekly/0/days/1', code: 'LS_C_VALUE' },
  // references
  { what: 'an unknown zone of an interface', yaml: 'interfaces: {eth0: {zone: insde}}\nzones: {inside: {}}\n', path: '/interfaces/eth0/zone', code: 'LS_C_REFERENCE', says: /did you mean inside\?/ },
  { what: 'an unknown zone of a policy', yaml: `${base}policies: [{name: p, from: [inside, nowhere], action: deny}]\n`, path: '/policies/0/from/1', code: 'LS_C_REFERENCE' },
  { what: 'an unknown application', yaml: `${base}policies: [{name: p, applications: htpp, action: deny}]\n`, path: '/policies/0/applications', code: 'LS_C_REFERENCE', says: /did you mean http\?/ },
  { what: 'an unknown schedule', yaml: `${base}policies: [{name: p, schedule: x, action: deny}]\n`, path: '/policies/0/schedule', code: 'LS_C_REFERENCE' },
  { what: 'an unknown screen', yaml: 'zones: {a: {screen: x}}\n', path: '/zones/a/screen', code: 'LS_C_REFERENCE' },
  { what: 'an unknown pool', yaml: `${base}nat: {source: [{name: r, translate: pool, pool: x}]}\n`, path: '/nat/source/0/pool', code: 'LS_C_REFERENCE' },
  { what: 'an unknown redundancy group', yaml: 'zones: {a: {redundancy-group: 3}}\n', path: '/zones/a/redundancy-group', code: 'LS_C_REFERENCE' },
  { what: 'an unknown host service', yaml: 'zones: {a: {host-inbound: [ping, shh]}}\n', path: '/zones/a/host-inbound/1', code: 'LS_C_REFERENCE', says: /did you mean ssh\?/ },
  { what: 'an unknown address book entry', yaml: `${base}policies: [{name: p, source: offices, action: deny}]\n`, path: '/policies/0/source', code: 'LS_C_REFERENCE' },
  { what: 'an unknown management interface', yaml: 'agent: {management: {interfaces: [mgmt0]}}\n', path: '/agent/management/interfaces/0', code: 'LS_C_REFERENCE' },
  // interfaces
  { what: 'an interface without zone', yaml: 'interfaces: {eth0: {}}\n', path: '/interfaces/eth0', code: 'LS_C_REQUIRED', says: /zone is missing/ },
  { what: 'a device name that Linux refuses', yaml: 'interfaces: {x: {port: a-name-too-long-for-linux, zone: a}}\nzones: {a: {}}\n', path: '/interfaces/x/port', code: 'LS_C_VALUE' },
  { what: 'a port kind that does not exist', yaml: 'interfaces: {x: {port: "tpa:x", zone: a}}\nzones: {a: {}}\n', path: '/interfaces/x/port', code: 'LS_C_VALUE' },
  { what: 'the same VLAN twice', yaml: 'interfaces: {x: {port: eth0, vlan: 5, zone: a}, y: {port: eth0, vlan: 5, zone: a}}\nzones: {a: {}}\n', path: '/interfaces/y', code: 'LS_C_DUPLICATE' },
  { what: 'an inner VLAN alone', yaml: 'interfaces: {x: {inner-vlan: 5, zone: a}}\nzones: {a: {}}\n', path: '/interfaces/x/inner-vlan', code: 'LS_C_REQUIRED' },
  { what: 'an address without length', yaml: 'interfaces: {x: {zone: a, addresses: 10.0.0.1}}\nzones: {a: {}}\n', path: '/interfaces/x/addresses', code: 'LS_C_VALUE', says: /10\.0\.0\.1\/24/ },
  { what: 'a network address', yaml: 'interfaces: {x: {zone: a, addresses: 10.0.0.0/24}}\nzones: {a: {}}\n', path: '/interfaces/x/addresses', code: 'LS_C_VALUE' },
  { what: 'a multicast address', yaml: 'interfaces: {x: {zone: a, addresses: ["ff02::1/64"]}}\nzones: {a: {}}\n', path: '/interfaces/x/addresses/0', code: 'LS_C_VALUE' },
  { what: 'overlapping subnets', yaml: 'interfaces: {x: {zone: a, addresses: 10.0.0.1/8}, y: {zone: a, addresses: 10.2.0.1/24}}\nzones: {a: {}}\n', path: '/interfaces/y/addresses', code: 'LS_C_OVERLAP' },
  { what: 'a multicast MAC', yaml: 'interfaces: {x: {zone: a, addresses: 10.0.0.1/24, neighbours: {10.0.0.2: "01:00:5e:00:00:01"}}}\nzones: {a: {}}\n', path: '/interfaces/x/neighbours/10.0.0.2', code: 'LS_C_VALUE' },
  { what: 'a redundancy group unlike the zone\'s', yaml: 'redundancy-groups: {1: {}}\ninterfaces: {x: {zone: a, redundancy-group: 1}}\nzones: {a: {}}\n', path: '/interfaces/x/redundancy-group', code: 'LS_C_CONFLICT', says: /R15/ },
  // policies
  { what: 'two fabric links', yaml: 'interfaces: {x: {port: eth0, role: fabric}, y: {port: eth1, role: fabric}}\n', path: '/interfaces/y/role', code: 'LS_C_DUPLICATE' },
  { what: 'two policies of one name', yaml: `${base}policies: [{name: p, action: deny}, {name: p, action: permit}]\n`, path: '/policies/1/name', code: 'LS_C_DUPLICATE' },
  { what: 'any beside a zone', yaml: `${base}policies: [{name: p, from: [any, inside], action: deny}]\n`, path: '/policies/0/from', code: 'LS_C_CONFLICT' },
  { what: 'a strange sync', yaml: `${base}policies: [{name: p, sync: sometimes, action: permit}]\n`, path: '/policies/0/sync', code: 'LS_C_VALUE' },
  { what: 'a strange log event', yaml: `${base}policies: [{name: p, log: [opens], action: permit}]\n`, path: '/policies/0/log/0', code: 'LS_C_VALUE', says: /did you mean open\?/ },
  // nat
  { what: 'a pool of both families', yaml: `${base}nat: {pools: {p: {addresses: [198.51.100.1, "2001:db8::1"]}}}\n`, path: '/nat/pools/p/addresses/1', code: 'LS_C_CONFLICT' },
  { what: 'a pool that is too large', yaml: `${base}nat: {pools: {p: {addresses: 198.18.0.0/16}}}\n`, path: '/nat/pools/p/addresses', code: 'LS_C_LIMIT' },
  { what: 'a pool rule without pool', yaml: `${base}nat: {source: [{name: r, translate: pool}]}\n`, path: '/nat/source/0', code: 'LS_C_REQUIRED' },
  { what: 'a pool of another redundancy group', yaml: `${base}redundancy-groups: {1: {}}\nnat: {pools: {p: {addresses: 198.51.100.1, redundancy-group: 1}}, source: [{name: r, from: inside, translate: pool, pool: p}]}\n`, path: '/nat/source/0/pool', code: 'LS_C_CONFLICT', says: /R15/ },
  { what: 'overlapping port ranges of groups', yaml: `${base}redundancy-groups: {1: {}}\nnat: {pools: {p: {addresses: 198.51.100.1, port-ranges: {0: 1024-40000, 1: 30000-65535}}}}\n`, path: '/nat/pools/p/port-ranges/1', code: 'LS_C_OVERLAP', says: /R18/ },
  { what: 'pools that share addresses and ports', yaml: `${base}nat: {pools: {p: {addresses: 198.51.100.1-198.51.100.9}, q: {addresses: 198.51.100.9}}}\n`, path: '/nat/pools/q', code: 'LS_C_OVERLAP' },
  { what: 'interface ports among the host\'s own', yaml: `${base}nat: {interface-ports: 1024-65535, source: [{name: r, to: outside, translate: interface}]}\n`, path: '/nat/interface-ports', code: 'LS_C_OVERLAP', says: /R17/ },
  { what: 'a pool on a host address among the host\'s own ports', yaml: `${base}nat: {pools: {p: {addresses: 192.0.2.1}}}\n`, path: '/nat/pools/p', code: 'LS_C_OVERLAP', says: /R17/ },
  { what: 'a static mapping of unequal lengths', yaml: `${base}nat: {static: [{name: s, outside: 198.51.100.0/28, inside: 10.9.0.0/29}]}\n`, path: '/nat/static/0', code: 'LS_C_CONFLICT' },
  { what: 'a static mapping of an own address', yaml: `${base}nat: {static: [{name: s, outside: 192.0.2.1, inside: 10.1.0.9}]}\n`, path: '/nat/static/0/outside', code: 'LS_C_OVERLAP' },
  { what: 'a translated port for everything', yaml: `${base}nat: {destination: [{name: d, destination: 198.51.100.1, translate: {address: 10.1.0.9, port: 80}}]}\n`, path: '/nat/destination/0/translate/port', code: 'LS_C_CONFLICT' },
  { what: 'destination NAT to the other family', yaml: `${base}nat: {destination: [{name: d, destination: 198.51.100.1, translate: {address: "2001:db8::1"}}]}\n`, path: '/nat/destination/0/translate/address', code: 'LS_C_CONFLICT' },
  // vips
  { what: 'a ring that is no prime', yaml: 'vips: {v: {address: 198.51.100.1, ring-size: 65536, pools: [{reals: [{address: 10.0.0.1}]}]}}\n', path: '/vips/v/ring-size', code: 'LS_C_VALUE', says: /prime/ },
  { what: 'a real of the other family', yaml: 'vips: {v: {address: 198.51.100.1, pools: [{reals: [{address: "2001:db8::1"}]}]}}\n', path: '/vips/v/pools/0/reals/0/address', code: 'LS_C_CONFLICT' },
  { what: 'a port change without NAT', yaml: 'vips: {v: {address: 198.51.100.1, port: 80, mode: l2, pools: [{reals: [{address: 10.0.0.1, port: 81}]}]}}\n', path: '/vips/v/pools/0/reals/0/port', code: 'LS_C_CONFLICT' },
  { what: 'a weight beyond 100', yaml: 'vips: {v: {address: 198.51.100.1, pools: [{reals: [{address: 10.0.0.1, weight: 101}]}]}}\n', path: '/vips/v/pools/0/reals/0/weight', code: 'LS_C_VALUE' },
  { what: 'the same real twice', yaml: 'vips: {v: {address: 198.51.100.1, pools: [{reals: [{address: 10.0.0.1}, {address: 10.0.0.1}]}]}}\n', path: '/vips/v/pools/0/reals/1', code: 'LS_C_DUPLICATE' },
  { what: 'the same service twice', yaml: 'vips: {v: {address: 198.51.100.1, port: 80, pools: [{reals: [{address: 10.0.0.1}]}]}, w: {address: 198.51.100.1/32, port: 80, pools: [{reals: [{address: 10.0.0.1}]}]}}\n', path: '/vips/w', code: 'LS_C_DUPLICATE' },
  { what: 'no reals', yaml: 'vips: {v: {address: 198.51.100.1, pools: [{reals: []}]}}\n', path: '/vips/v/pools/0/reals', code: 'LS_C_VALUE' },
  { what: 'a prefix with host bits', yaml: 'vips: {v: {address: 198.51.100.1/24, pools: [{reals: [{address: 10.0.0.1}]}]}}\n', path: '/vips/v/address', code: 'LS_C_VALUE', says: /198\.51\.100\.0\/24/ },
  // routes
  { what: 'a next hop that nobody reaches', yaml: `${base}routes: [{prefix: 0.0.0.0/0, via: 203.0.113.1}]\n`, path: '/routes/0/via', code: 'LS_C_REFERENCE' },
  { what: 'a route to nowhere', yaml: `${base}routes: [{prefix: 0.0.0.0/0}]\n`, path: '/routes/0', code: 'LS_C_REQUIRED' },
  { what: 'a next hop of the other family', yaml: `${base}routes: [{prefix: "::/0", via: 192.0.2.9}]\n`, path: '/routes/0/via', code: 'LS_C_CONFLICT' },
  // nodes
  { what: 'a mistake in another node\'s overlay', yaml: `${base}nodes: {other: {interfaces: {eth0: {vlan: 1, zone: nowhere}}}}\n`, path: '/nodes/other/interfaces/eth0/zone', code: 'LS_C_REFERENCE' },
]

for (const c of cases) {
  t.test(`${c.what} is told with its place`, async t => {
    const { desired, issues } = read(c.yaml)
    t.equal(desired, null)
    const issue = issues.find(i => i.path === c.path && i.code === c.code)
    t.ok(issue, JSON.stringify(issues, null, 1))
    if (issue === undefined) return
    t.match(issue, { line: c.line ?? Number, column: Number })
    t.not(issue.message, '')
    t.not(issue.expected, '')
    if (c.says !== undefined) t.match(`${issue.message}: found ${issue.found}, expected ${issue.expected}`, c.says)
    t.equal(issues.length, 1, `nothing else is reported: ${JSON.stringify(issues.map(i => `${i.path} ${i.message}`))}`)
  })
}

t.test('mistakes of keys, types, references and meaning are told in one run, in file order', async t => {
  const { issues } = read(`agent: {backnd: ebpf, workers: -1}
interfaces:
  eth0: {zone: insde, mtu: big}
zones:
  inside: {host-inbound: [pong], screen: none}
policies:
  - {name: one, action: allow}
  - {name: two, action: permit, applications: [tcp/99999]}
nat:
  source:
    - {name: s, translate: pool}
`)
  t.same(issues.map(i => [i.path, i.line]), [
    ['/agent/backnd', 1], ['/agent/workers', 1], ['/interfaces/eth0/zone', 3], ['/interfaces/eth0/mtu', 3], ['/zones/inside/host-inbound/0', 5],
    ['/zones/inside/screen', 5], ['/policies/0/action', 7], ['/policies/1/applications/0', 8], ['/nat/source/0', 11],
  ])
})

t.test('a reference to an entry that is wrong itself is not another error', async t => {
  const { issues } = read(`${base}applications: {web: {protocol: tcp, destination-port: 99999}}
screens: {s: {land: 7}}
policies: [{name: p, applications: web, action: deny}]
`)
  t.same(issues.map(i => i.path), ['/applications/web/destination-port', '/screens/s/land'])
})

t.test('more errors than fit are counted', async t => {
  const { issues } = read(`zones:\n${Array.from({ length: 63 }, (_, i) => `  z${i}: {a: 1, b: 1, c: 1, d: 1}`).join('\n')}\n`)
  t.equal(issues.length, 201)
  t.match(issues.at(-1), { code: 'LS_C_MORE', found: '52' })
})

t.test('collectors that are taken', async t => {
  for (const endpoint of ['http://127.0.0.1:4318', 'http://localhost:4318/', 'http://[::1]:4318', 'https://collector.example.net/otlp', 'http://192.0.2.7:4318, plain: true'].map(text => text.split(', '))) {
    const [url = '', more = ''] = endpoint
    const { desired, issues } = read(`agent: {tracing: {endpoint: "${url}"${more === '' ? '' : `, ${more}`}}}\n`)
    t.same(issues, [], url)
    t.same(desired?.agent.tracing, { endpoint: url, sample: 1 })
  }
  t.equal(read('{}\n').desired?.agent.tracing, null, 'off by default')
})

t.test('what may be a secret is not shown, nor what holds one, nor a piece of what cannot be read', async t => {
  const bad = [
    'healthchecks: {w: {type: http, http: {headers: {Authorization: "tell\\nnobody"}}}}', 'healthchecks: {w: {type: http, http: {headers: {Authorization: [tell-nobody]}}}}', 'healthchecks: {w: {type: http, http: {path: tell-nobody}}}',
    'healthchecks: {w: {type: http, http: [{path: /tell-nobody}]}}', 'healthchecks: [{path: /tell-nobody}]', 'healthchecks: {w: {type: exec, exec: [tell-nobody]}}', 'healthchecks: {w: {type: exec, exec: {a: tell-nobody}}}',
    'healthchecks: {w: {type: tcp, agent: {port: 1, send: [tell-nobody]}}}', 'bgp: {report: {sinks: {h: {type: webhook, url: "ftp://tell-nobody"}}}}', 'bgp: {report: {sinks: {h: [https://tell-nobody]}}}', 'bgp: {report: {sinks: {h: {type: webhook, url: {x: tell-nobody}}}}}'
  ]
  for (const text of bad) {
    const { issues } = read(`${text}\n`)
    t.ok(issues.length > 0, text)
    t.notMatch(JSON.stringify(issues), /tell|nobody/, text)
  }
  t.match(read('policies: tell-nobody\n').issues, [{ found: '"tell-nobody"' }], 'elsewhere what was found is shown')
  const unread = read('healthchecks: {w: {type: http, http: {headers: {A: "tell-nobody}}}}\n').issues
  t.match(unread, [{ code: 'LS_C_SYNTAX' }])
  t.notMatch(new ConfigError(unread).message, /tell-nobody/)
  t.match(new ConfigError(read('policies: tell-nobody\n').issues).message, /1 error in the configuration; first: line 1: \/policies: /)
})
