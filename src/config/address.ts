export * from '../lib/address.js'
