/** Events of the load balancer: their levels, in one place. Names and fields are in docs/operations/load-balancing.md. Pure but for the time. */
import type { EventLevel, LoadBalancerEvent } from '../../contract/balancing.js'

/** What is not here is info. */
function levelOf (name: string, fields: LoadBalancerEvent['fields']): EventLevel {
  switch (name) {
    case 'lb-sync-error': case 'vpp-lb-error': return 'error'
    case 'lb-sync-start': return 'debug'
    case 'lb-sync-done': return fields['repaired'] === 0 && fields['configBytes'] === 0 ? 'debug' : 'info'
    case 'lb-sync-vip-repaired': case 'lb-sync-config-repaired': case 'events-lost': case 'vpp-disconnect': case 'vpp-lb-vip-recreated': return 'warn'
    case 'real-transition': return fields['to'] === 'down' ? 'warn' : 'info'
    case 'vip-state': return fields['to'] === 'up' ? 'info' : 'warn'
    default: return 'info'
  }
}

export const balancingEvent = (name: string, fields: LoadBalancerEvent['fields']): LoadBalancerEvent => ({ at: Date.now(), name, level: levelOf(name, fields), fields })

/** Stands where events are missing. */
export const balancingLost = (lost: number): LoadBalancerEvent => balancingEvent('events-lost', { lost })
