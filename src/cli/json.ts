/** What verbs print for programs. */
export { enumWord } from '../client/plain.js'
export { toJson } from '../lib/json.js'
