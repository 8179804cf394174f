// What clients are behind HAProxy: its PROXY header says it, and workers see the real client's address.
import { proxyProtocol } from 'handover'

const trusted = (process.env.PROXIES ?? '10.0.0.0/8').split(',')

export default { inspect: proxyProtocol({ trusted }) }
