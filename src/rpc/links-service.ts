/** lockstep.v1.Links: ports of the dataplane as messages. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { LinkInfo } from '../contract/dataplane.js'
import { LockstepError } from '../contract/errors.js'
import type { AgentServices } from '../contract/services.js'
import { Link, type LinksListRequest, type LinksListResponse } from '../generated/proto/lockstep/v1/links.js'
import { unary, type OnBug } from './handler.js'
import { listed } from './listing.js'

export const linkMessage = ({ name, device, kind, ifindex, mac, mtu, up, addresses }: LinkInfo): Link => ({ name, device, kind, ifindex, mac, mtu, up, addresses: [...addresses] })

export function linksImplementation (services: AgentServices, onBug: OnBug): UntypedServiceImplementation {
  return {
    list: unary<LinksListRequest, LinksListResponse>(onBug, async ({ name, listing }) => {
      const links = (await services.dataplane().links()).filter(link => name === '' || link.name === name)
      if (name !== '' && links.length === 0) throw new LockstepError('stale', 'LS_E_NOT_FOUND', 'no such link', { object: 'link', found: name, next: 'list them without a name' })
      const { rows, nextPageToken } = listed(links.map(linkMessage).sort((a, b) => a.name < b.name ? -1 : 1), link => link.name, listing, Link)
      return { links: rows, nextPageToken }
    })
  }
}
