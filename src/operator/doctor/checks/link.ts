/** The claimed interface is there and up. */
import { error, from, ok, warning, type InterfaceCheck } from '../finding.js'
import { fix } from '../shell.js'

export const link: InterfaceCheck = {
  id: 'link',
  look: ({ device, netns, link: seen }, { scope }) => from([seen], ([l], source) => {
    if (l === null) return [error({ finding: 'there is no such interface', consequence: 'the configuration is refused when it is applied', source })]
    if (scope.desired === null) return []
    if (!l.up) return [warning({ finding: 'is down', consequence: 'nothing is received or sent there', command: fix(netns, `ip link set dev ${device} up`), source })]
    if (!l.carrier) return [warning({ finding: 'has no carrier', consequence: 'nothing is received or sent there: look at the cable, or at the other end of the pair', source })]
    return [ok('is up', source)]
  })
}
